import Compute
import Glibc
import Tensors

/// Numbers that look random and are the same in every run.
struct Numbers {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    /// In -1...1.
    mutating func next() -> Float {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(Int32(truncatingIfNeeded: state >> 32)) / 2_147_483_648
    }

    mutating func floats(_ count: Int, scale: Float = 1) -> [Float] { (0..<count).map { _ in next() * scale } }
}

/// How test weights are stored; `reordered` is bytes with one scale a group and columns in an order of their own.
enum Storage { case f32, bf16, q8_0, reordered }

func view(_ values: [Float], _ shape: Shape, _ storage: Storage = .f32) throws -> TensorView {
    let dtype: DType = storage == .f32 ? .f32 : storage == .bf16 ? .bf16 : storage == .q8_0 ? .q8_0 : .i8
    return try TensorView.make(dtype, shape) { bytes in
        for (index, value) in values.enumerated() {
            switch storage {
            case .f32: bytes.storeBytes(of: value, toByteOffset: index * 4, as: Float.self)
            case .bf16: bytes.storeBytes(of: UInt16(truncatingIfNeeded: value.bitPattern >> 16), toByteOffset: index * 2, as: UInt16.self)
            case .q8_0:
                // Blocks of 32: a float16 scale (here 1/256) and a byte for each value.
                let block = index / 32 * 34
                bytes.storeBytes(of: 0x1C00, toByteOffset: block, as: UInt16.self)
                bytes.storeBytes(of: Int8(value * 256), toByteOffset: block + 2 + index % 32, as: Int8.self)
            case .reordered: bytes.storeBytes(of: Int8(value * 256), toByteOffset: index, as: Int8.self)
            }
        }
    }
}

extension Storage {
    /// The nearest value towards 0 that it can hold.
    func round(_ value: Float) -> Float {
        switch self {
        case .f32: value
        case .bf16: Float(bitPattern: value.bitPattern & 0xFFFF_0000)
        case .q8_0, .reordered: max(-127, min(127, (value * 256).rounded(.towardZero))) / 256
        }
    }
}

func values(_ tensor: Tensor) -> [Float] { Array(UnsafeBufferPointer(start: tensor.floats, count: tensor.rows * tensor.columns)) }

/// A matrix on both sides: stored, and as plain numbers.
struct TestMatrix {
    let outputs: Int, inputs: Int
    let weights: [Float]
    let bias: [Float]?
    let stored: Matrix

    init(_ backend: CPUBackend, _ outputs: Int, _ inputs: Int, _ numbers: inout Numbers, _ storage: Storage = .f32, bias: Bool = false, scale: Float = 1) throws {
        self.outputs = outputs
        self.inputs = inputs
        let weights = numbers.floats(outputs * inputs, scale: scale / Float(inputs).squareRoot() * 2).map(storage.round)
        self.weights = weights
        self.bias = bias ? numbers.floats(outputs) : nil
        let biases = bias ? [try view(self.bias ?? [], [outputs])] : []
        if storage == .reordered {
            // Column j of the codes multiplies input order[j]; 29 shares no factor with the widths that tests use.
            let order = (0..<inputs).map { Int32(($0 * 29 + 7) % inputs) }
            let codes = (0..<outputs).flatMap { row in order.map { weights[row * inputs + Int($0)] } }
            let weight = GroupedWeight(
                code: .int8, outputs: outputs, inputs: inputs, groupSize: 32, codes: try view(codes, [outputs, inputs], .reordered),
                scales: try view([Float](repeating: 1 / 256, count: outputs * inputs / 32), [outputs, inputs / 32]), inputOrder: order, storedBits: 8)
            stored = try backend.makeMatrix([StoredWeight.grouped(weight)], biases: biases)
        } else {
            stored = try backend.makeMatrix([try view(weights, [outputs, inputs], storage)], biases: biases)
        }
    }

    func times(_ x: [Double]) -> [Double] {
        (0..<outputs).map { row in
            (0..<inputs).reduce(Double(bias?[row] ?? 0)) { $0 + Double(weights[row * inputs + $1]) * x[$1] }
        }
    }
}

/// Routing as its definition reads, in double precision: weight by expert.
func referenceRouting(_ spec: RoutingSpec, _ logits: [Double], correction: [Float]?) -> [Int: Double] {
    func softmax(_ x: [Double]) -> [Double] {
        let top = x.max() ?? 0, powers = x.map { exp($0 - top) }, sum = powers.reduce(0, +)
        return powers.map { $0 / sum }
    }
    /// Indices by falling value, the lower index first among equals.
    func ranked(_ x: [Double]) -> [Int] { x.indices.sorted { x[$0] != x[$1] ? x[$0] > x[$1] : $0 < $1 } }
    var weights: [Int: Double] = [:]
    if case .sparseMixer(let jitter) = spec.scoring {
        var left = logits
        for _ in 0..<spec.chosen {
            let best = ranked(left)[0], top = logits[best]
            let near = left.indices.map { (top - logits[$0]) / max(abs(logits[$0]), top) > 2 * Double(jitter) ? -Double.infinity : left[$0] }
            weights[best] = softmax(near)[best]
            left[best] = -.infinity
        }
    } else {
        var scores = logits
        if spec.scoring == .softmax { scores = softmax(logits) }
        if spec.scoring == .sigmoid { scores = logits.map { 1 / (1 + exp(-$0)) } }
        var candidates = scores
        if let correction { candidates = zip(candidates, correction).map { $0 + Double($1) } }
        if let groups = spec.groups {
            let size = spec.experts / groups.count
            let groupScores = (0..<groups.count).map { group in
                let members = candidates[group * size..<(group + 1) * size].sorted(by: >)
                return groups.score == .best ? members[0] : members[0] + members[1]
            }
            for group in ranked(groupScores).dropFirst(groups.chosen) {
                for expert in group * size..<(group + 1) * size { candidates[expert] = -.infinity }
            }
        }
        for expert in ranked(candidates).prefix(spec.chosen) { weights[expert] = scores[expert] }
        if spec.scoring == .softmaxOfChosen {
            let sum = weights.values.reduce(0) { $0 + exp($1) }
            weights = weights.mapValues { exp($0) / sum }
        }
    }
    if spec.normalises {
        let sum = weights.values.reduce(0, +) + Double(spec.normaliserOffset)
        weights = weights.mapValues { $0 / sum }
    }
    return weights.mapValues { $0 * Double(spec.scale) }
}
