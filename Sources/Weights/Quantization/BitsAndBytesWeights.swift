import JSON
import Tensors

/// Layouts of bitsandbytes, whose tensors describe themselves.
extension ModuleTensors {
    /// 8-bit rows: `w = weight · SCB / 127`.
    func bitsandbytes8() throws(LoadError) -> StoredWeight {
        if contains("weight_format") {
            let view = try typed("weight_format", [.u8, .i8, .i32, .i64], shape: nil)
            let format = try checked("weight_format") { () throws(TensorError) in try view.integers() }
            // Others (col32, turing, ampere) are arrangements for matrix units of old GPUs.
            guard format == [0] else { throw malformed("weight_format", "is \(format); only rows (0) are supported") }
        }
        let codes = try tensor("weight", .i8, shape: [outputs, inputs])
        guard let view = TensorView(dtype: .u8, shape: codes.shape, bytes: codes.bytes, owner: codes.owner) else {
            throw malformed("weight", "is not a byte for each element")
        }
        let maxima = try scales("SCB", shape: nil)
        guard maxima.count == outputs else { throw malformed("SCB", "has \(maxima.count) elements instead of \(outputs)") }
        let columns = ColumnGroups(inputs: inputs, size: inputs)
        let scales = try table("SCB", maxima.map { $0 / 127 }, groups: 1, isTransposed: false, columns)
        return try weight(.int8, codes: view, scales: scales, columns)
    }

    /// NF4 or FP4: nibbles row by row, the first of two high, in runs of `blocksize` with a maximum each: `w = map[q] · absmax`. With nested
    /// quantisation the maxima are bytes with a map, maxima and an offset of their own. Source: `bitsandbytes.functional.QuantState`.
    /// - state: name of the tensor with the description.
    func bitsandbytes4(state: String) throws(LoadError) -> StoredWeight {
        let description = try BlockDescription(self, state)
        guard description.shape == [outputs, inputs] else {
            throw malformed(state, "says shape \(description.shape) instead of [\(outputs), \(inputs)]")
        }
        let count = outputs * inputs, size = description.blockSize, blocks = (count + size - 1) / size
        let packed = try scope.tensor("weight")
        // The bytes may be dressed as another type (`bnb_4bit_quant_storage`) and then end with padding.
        guard packed.byteCount >= (count + 1) / 2, packed.byteCount - (count + 1) / 2 < 8 else {
            throw malformed("weight", "has \(packed.byteCount) bytes; \(count) codes need \((count + 1) / 2)")
        }
        let map = try scales("weight.quant_map", shape: [16])
        let maxima = try maxima(description, blocks: blocks)
        // A run of this many columns lies inside one block, in every row.
        let unit = size >= count ? inputs : Self.greatestCommonDivisor(size, inputs)
        let columns = ColumnGroups(inputs: inputs, size: unit), groups = columns.sources.count
        let inputs = inputs, outputs = outputs
        let rowBytes = (inputs + 1) / 2
        let codes = try checked("weight") { () throws(TensorError) in
            try packed.withUnsafeBytes { source throws(TensorError) in
                try TensorView.make(.u8, [outputs, rowBytes]) { bytes in
                    if inputs % 2 == 0 {
                        for index in bytes.indices { bytes[index] = source[index] << 4 | source[index] >> 4 }
                        return
                    }
                    for row in 0..<outputs {
                        for column in 0..<inputs {
                            let at = row * inputs + column
                            let value = source[at / 2] >> UInt8(4 * (1 - at & 1)) & 15
                            bytes[row * rowBytes + column / 2] |= value << UInt8(4 * (column & 1))
                        }
                    }
                }
            }
        }
        let scales = try checked("weight.absmax") { () throws(TensorError) in
            try TensorView.make(.f32, [outputs, groups]) { bytes in
                let target = bytes.bindMemory(to: Float.self)
                for row in 0..<outputs {
                    for group in 0..<groups { target[row * groups + group] = maxima[(row * inputs + group * unit) / size] }
                }
            }
        }
        let stored = try weight(.table(map), codes: codes, scales: scales, columns)
        return unit >= 8 || unit == inputs ? stored : .dense(try spelledOut(stored))
    }

    private func maxima(_ description: BlockDescription, blocks: Int) throws(LoadError) -> [Float] {
        guard let nested = description.nestedBlockSize else { return try scales("weight.absmax", shape: [blocks]) }
        let codes = try tensor("weight.absmax", .u8, shape: [blocks])
        let map = try scales("weight.nested_quant_map", shape: [256])
        let maxima = try scales("weight.nested_absmax", shape: [(blocks + nested - 1) / nested])
        return codes.withUnsafeBytes { codes in
            codes.indices.map { map[Int(codes[$0])] * maxima[$0 / nested] + description.nestedOffset }
        }
    }

    private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : greatestCommonDivisor(b, a % b) }
}

/// The JSON in `weight.quant_state.bitsandbytes__nf4`.
private struct BlockDescription {
    let blockSize: Int
    let shape: [Int]
    /// nil where maxima are plain floats.
    let nestedBlockSize: Int?
    let nestedOffset: Float

    init(_ module: ModuleTensors, _ name: String) throws(LoadError) {
        let view = try module.typed(name, [.u8], shape: nil)
        let value: JSONValue
        do {
            value = try view.withUnsafeBytes { bytes in
                try JSONValue(parsing: bytes.bindMemory(to: UInt8.self), options: .init(maxDepth: 8, allowsNonFinite: true))
            }
        } catch {
            throw module.malformed(name, "\(error)")
        }
        guard let object = value.object else { throw module.malformed(name, "is a JSON \(value.kind), not an object") }
        let reader = ConfigReader(object, file: module.scope.checkpoint.path, path: module.scope.prefix + name + ": ")
        blockSize = try reader.int("blocksize", in: 1...0x7FFF_FFFF)
        shape = try reader.ints("shape")
        nestedBlockSize = try reader.int(optional: "nested_blocksize", in: 1...0x7FFF_FFFF)
        nestedOffset = try reader.float("nested_offset", default: 0)
    }
}
