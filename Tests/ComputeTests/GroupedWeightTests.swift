import AllocationCounter
import Compute
import Tensors
import Testing

/// Stored weights of codes with scales → products of the CPU backend.
@Suite struct GroupedWeightTests {
    static let outputs = 21

    /// A random weight in stored form, and the values it stands for, row by row in the order of the inputs.
    struct Sample {
        var stored: StoredWeight
        var values: [[Double]]

        static func grouped(
            _ code: GroupedWeight.Code, inputs: Int, groupSize: Int, zeros zero: Float? = nil, order: [Int32]? = nil, _ random: inout Random
        ) throws -> Sample {
            let groups = (inputs + groupSize - 1) / groupSize
            let nibbles = code == .uint4 || code != .int8 && code != .float8
            let width = nibbles ? (inputs + 1) / 2 : inputs
            var wanted = (0..<outputs * inputs).map { _ in UInt8(truncatingIfNeeded: random.next() >> 30) & (nibbles ? 15 : 255) }
            if code == .float8 { wanted = wanted.map { $0 & 0x77 } }
            let scales = (0..<outputs * groups).map { _ in random.unit() * 0.05 }
            let codes = try TensorView.make(.u8, [outputs, width]) { bytes in
                for (at, value) in wanted.enumerated() {
                    let row = at / inputs, column = at % inputs
                    if nibbles { bytes[row * width + column / 2] |= value << (column % 2 * 4) } else { bytes[at] = value }
                }
            }
            var weight = GroupedWeight(
                code: code, outputs: outputs, inputs: inputs, groupSize: groupSize, codes: codes, scales: try floats(scales, [outputs, groups]),
                zeros: try zero.map { try floats([Float](repeating: $0, count: scales.count), [outputs, groups]) }, inputOrder: order, storedBits: 4)
            weight.storedBits = nibbles ? 4 : 8
            var values = [[Double]](repeating: [Double](repeating: .nan, count: inputs), count: outputs)
            for row in 0..<outputs {
                for column in 0..<inputs {
                    let value = (Self.value(wanted[row * inputs + column], code) - Double(zero ?? 0)) * Double(scales[row * groups + column / groupSize])
                    values[row][Int(order?[column] ?? Int32(column))] = value
                }
            }
            return Sample(stored: .grouped(weight), values: values)
        }

        static func dense(inputs: Int, _ random: inout Random) throws -> Sample {
            let values = random.floats(outputs * inputs, scale: 0.1)
            return Sample(
                stored: .dense(try floats(values, [outputs, inputs])),
                values: (0..<outputs).map { row in values[(row * inputs)..<((row + 1) * inputs)].map(Double.init) })
        }

        private static func value(_ code: UInt8, _ kind: GroupedWeight.Code) -> Double {
            switch kind {
            case .uint4: return Double(code)
            case .int8: return Double(Int8(bitPattern: code))
            case .table(let values): return Double(values[Int(code)])
            case .float8:  // 0x77 leaves no sign, an exponent of 0...14 and a fraction of seven eighths
                let exponent = Int(code >> 3), fraction = Double(code & 7) / 8
                return exponent == 0 ? fraction / 64 : (1 + fraction) * Double(sign: .plus, exponent: exponent - 7, significand: 1)
            }
        }
    }

    static func floats(_ values: [Float], _ shape: Shape) throws -> TensorView {
        try TensorView.make(.f32, shape) { bytes in
            values.withUnsafeBytes { bytes.copyMemory(from: $0) }
        }
    }

    static func backend(_ precision: ComputePrecision) -> CPUBackend {
        var configuration = CPUBackend.Configuration(threadCount: 2, maxBatchedTokens: 64)
        configuration.precision = precision
        return CPUBackend(configuration)
    }

    static let e2m1: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6]
    static let uneven: [Float] = [-1, -0.7, -0.53, -0.39, -0.28, -0.18, -0.09, 0, 0.08, 0.16, 0.25, 0.34, 0.44, 0.56, 0.72, 1]

    /// A shuffled order of inputs.
    static func order(_ count: Int, _ random: inout Random) -> [Int32] {
        var order = (0..<Int32(count)).map { $0 }
        for i in stride(from: count - 1, to: 0, by: -1) { order.swapAt(i, Int(random.next() % UInt64(i + 1))) }
        return order
    }

    /// `y += x Wᵀ + bias` over stacked parts, compared with double precision.
    /// - Parameter tolerance: of a product's error, relative to the sum of its terms' sizes.
    func check(_ parts: [Sample], _ precision: ComputePrecision, rows: Int, tolerance: Double, normed: Bool = false, _ random: inout Random) throws {
        let backend = Self.backend(precision)
        let inputs = parts[0].stored.inputs, columns = parts.count * Self.outputs
        let biases = try parts.indices.map { $0 % 2 == 0 ? try Self.floats(random.floats(Self.outputs), [Self.outputs]) : nil }
        let matrix = try backend.makeMatrix(parts.map(\.stored), biases: biases)
        #expect(matrix.outputs == columns && matrix.inputs == inputs)
        let x = try backend.makeTensor(rows: rows, columns: inputs), y = try backend.makeTensor(rows: rows, columns: columns)
        for i in 0..<rows * inputs { x.floats[i] = random.unit() }
        for i in 0..<rows * columns { y.floats[i] = 1 }
        let input: LinearInput = normed ? .normed(x, Norm(.rms(offset: 0), epsilon: 0, weight: nil)) : .plain(x)
        backend.linear(input, matrix, addingTo: y)
        for row in 0..<rows {
            var values = (0..<inputs).map { Double(x.floats[row * inputs + $0]) }
            if normed {
                let size = (values.reduce(0) { $0 + $1 * $1 } / Double(inputs)).squareRoot()
                values = values.map { $0 / size }
            }
            for column in 0..<columns {
                let part = column / Self.outputs, weights = parts[part].values[column % Self.outputs]
                let bias = try biases[part]?.floats()[column % Self.outputs] ?? 0
                var sum = 1 + Double(bias), size = 1.0
                for (a, b) in zip(values, weights) {
                    sum += a * b
                    size += abs(a * b)
                }
                #expect(abs(Double(y.floats[row * columns + column]) - sum) <= tolerance * size, "row \(row) column \(column) of part \(part)")
            }
        }
    }

    static let codes: [GroupedWeight.Code] = [.uint4, .int8, .float8, .table(e2m1), .table(uneven)]

    @Test(arguments: codes, [(144, 128), (272, 272), (96, 32), (64, 16), (24, 24), (60, 20)])
    func matchesItsValues(_ code: GroupedWeight.Code, _ shape: (inputs: Int, groupSize: Int)) throws {
        var random = Random(7)
        let zero: Float? = code == .uint4 ? 8 : code == .int8 ? -3 : nil
        for order in [nil, Self.order(shape.inputs, &random)] {
            let sample = try Sample.grouped(code, inputs: shape.inputs, groupSize: shape.groupSize, zeros: zero, order: order, &random)
            try check([sample], .float32, rows: 3, tolerance: 2e-6, &random)
            try check([sample], .auto, rows: 7, tolerance: 8e-3, &random)
            try check([sample], .float32, rows: 6, tolerance: 2e-6, normed: true, &random)
        }
    }

    /// Parts of several codes and orders beside a plain one.
    @Test func partsOfOneMatrixMayDiffer() throws {
        var random = Random(8)
        let order = Self.order(144, &random), other = Self.order(144, &random)
        let parts = [
            try Sample.grouped(.uint4, inputs: 144, groupSize: 32, zeros: 8, order: order, &random),
            try Sample.grouped(.uint4, inputs: 144, groupSize: 128, order: order, &random),
            try Sample.grouped(.uint4, inputs: 144, groupSize: 32, zeros: 7, order: other, &random),
            try Sample.grouped(.int8, inputs: 144, groupSize: 144, &random),
            try Sample.dense(inputs: 144, &random),
            try Sample.grouped(.float8, inputs: 144, groupSize: 128, order: other, &random),
        ]
        for normed in [false, true] {
            try check(parts, .float32, rows: 5, tolerance: 2e-6, normed: normed, &random)
            try check(parts, .auto, rows: 9, tolerance: 8e-3, normed: normed, &random)
        }
    }

    @Test func allocatesNothingWhenWarm() throws {
        var random = Random(10)
        let order = Self.order(96, &random)
        var configuration = CPUBackend.Configuration(threadCount: 1, maxBatchedTokens: 64)
        for precision in [ComputePrecision.auto, .float32] {
            configuration.precision = precision
            let backend = CPUBackend(configuration)
            let parts = [
                try Sample.grouped(.uint4, inputs: 96, groupSize: 32, order: order, &random), try Sample.grouped(.float8, inputs: 96, groupSize: 96, &random),
            ]
            let matrix = try backend.makeMatrix(parts.map(\.stored), biases: [])
            let x = try backend.makeTensor(rows: 40, columns: 96), y = try backend.makeTensor(rows: 40, columns: 2 * Self.outputs)
            for i in 0..<40 * 96 { x.floats[i] = random.unit() }
            for _ in 0..<3 { backend.linear(.plain(x), matrix, into: y) }
            let before = allocation_count()
            for _ in 0..<10 { backend.linear(.plain(x), matrix, into: y) }
            let after = allocation_count()
            #expect(after == before)
        }
    }

    @Test func refusesWhatDoesNotFit() throws {
        var random = Random(9)
        let backend = Self.backend(.auto)
        guard case .grouped(let good) = try Sample.grouped(.uint4, inputs: 64, groupSize: 32, &random).stored else { return }
        func refuses(_ change: (inout GroupedWeight) -> Void) {
            var bad = good
            change(&bad)
            #expect(throws: BackendError.self) { try backend.makeMatrix([.grouped(bad)], biases: []) }
        }
        _ = try backend.makeMatrix([.grouped(good)], biases: [])
        refuses { $0.outputs += 1 }
        refuses { $0.inputs = .max }
        refuses { $0.groupSize = 0 }
        refuses { $0.groupSize = 16 }
        refuses { $0.code = .int8 }
        refuses { $0.code = .table([1, 2]) }
        refuses { $0.zeros = $0.codes }
        refuses { $0.inputOrder = [0] }
        refuses { $0.inputOrder = [Int32](repeating: 0, count: 64) }
        refuses { $0.inputOrder = (1...64).map { $0 } }
    }
}
