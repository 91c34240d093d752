import Tensors

/// Layouts of integer codes packed into 32-bit words.
extension ModuleTensors {
    /// AWQ: `w[k, n] = (q - z) · s`. Sources: AutoAWQ's `WQLinear_GEMM` and `WQLinear_GEMV`.
    func awq() throws(LoadError) -> StoredWeight {
        let size = min(settings.groupSize ?? inputs, inputs), groups = (inputs + size - 1) / size
        guard outputs % 8 == 0 else { throw malformed("qweight", "\(outputs) outputs do not fill words of 8 codes") }
        if settings.layout == .awqGEMV { return try awqRows(size: size, groups: groups) }
        let words = outputs / 8
        let packed = try tensor("qweight", .i32, .u32, shape: [inputs, words])
        let packedZeros = try tensor("qzeros", .i32, .u32, shape: [groups, words])
        let columns = ColumnGroups(inputs: inputs, size: size)
        let scales = try table("scales", try scales("scales", shape: [groups, outputs]), groups: groups, isTransposed: true, columns)
        let codes = try nibblesTransposed("qweight", packed, inputs: inputs)
        // The zeros are packed as the codes are: after transposing, each output's zeros are a row of nibbles.
        let zeroNibbles = try nibblesTransposed("qzeros", packedZeros, inputs: groups)
        let zeroBytes = (groups + 1) / 2
        var zeros = [Float](repeating: 0, count: outputs * groups)
        zeroNibbles.withUnsafeBytes { nibbles in
            for row in 0..<outputs {
                for group in 0..<groups { zeros[row * groups + group] = Float(nibbles[row * zeroBytes + group / 2] >> UInt8(4 * (group & 1)) & 15) }
            }
        }
        return try weight(
            .uint4, codes: codes, scales: scales, zeros: try table("qzeros", zeros, groups: groups, isTransposed: false, columns), columns)
    }

    private func nibblesTransposed(_ name: String, _ packed: TensorView, inputs: Int) throws(LoadError) -> TensorView {
        try checked(name) { () throws(TensorError) in
            try packed.withUnsafeBytes { source throws(TensorError) in
                try TensorView.make(.u8, [outputs, (inputs + 1) / 2]) { bytes in
                    guard let from = source.baseAddress, let to = bytes.baseAddress else { return }
                    CodeUnpacking.transposeNibbles(from, inputs: inputs, words: outputs / 8, order: [0, 2, 4, 6, 1, 3, 5, 7], into: to)
                }
            }
        }
    }

    /// AWQ's GEMV layout: rows of plain order; zeros and scales padded to whole words.
    private func awqRows(size: Int, groups: Int) throws(LoadError) -> StoredWeight {
        let packed = try tensor("qweight", .i32, .u32, shape: [outputs, (inputs + 7) / 8])
        let zeroWords = try typed("qzeros", [.i32, .u32], shape: nil)
        guard zeroWords.shape.rank == 2, zeroWords.shape[0] == outputs, zeroWords.shape[1] >= (groups + 7) / 8, zeroWords.shape[1] < 1 << 40 else {
            throw malformed("qzeros", "has shape \(zeroWords.shape), which cannot hold \(groups) zeros for each of \(outputs) outputs")
        }
        let width = 8 * zeroWords.shape[1]
        let columns = ColumnGroups(inputs: inputs, size: size)
        let scales = try table("scales", try scales("scales", shape: [outputs, width]), groups: width, isTransposed: false, columns)
        let zeros = unpackedRows(zeroWords, bits: 4, rows: outputs, count: width) { Float($0) }
        return try weight(
            .uint4, codes: try codes("qweight", packedRows: packed, bits: 4, order: nil), scales: scales,
            zeros: try table("qzeros", zeros, groups: width, isTransposed: false, columns), columns)
    }

    /// GPTQ: `w[k, n] = (q - z) · s[g_idx[k]]`. Sources: AutoGPTQ's and GPTQModel's torch layers.
    func gptq(zerosLessOne: Bool) throws(LoadError) -> StoredWeight {
        let bits = settings.bits, size = min(settings.groupSize ?? inputs, inputs), groups = (inputs + size - 1) / size
        let words = (inputs * bits + 31) / 32, zeroWords = (outputs * bits + 31) / 32
        let packed = try tensor("qweight", .i32, .u32, shape: [words, outputs])
        let packedZeros = try tensor("qzeros", .i32, .u32, shape: [groups, zeroWords])
        let columns = try columns("g_idx", size: size, groups: groups)
        let scales = try table("scales", try scales("scales", shape: [groups, outputs]), groups: groups, isTransposed: true, columns)
        let mask = UInt8(truncatingIfNeeded: 1 << bits - 1), shift: Float = bits > 4 ? 128 : 0, increment: UInt8 = zerosLessOne ? 1 : 0
        let zeros = unpackedRows(packedZeros, bits: bits, rows: groups, count: outputs) { Float(($0 &+ increment) & mask) - shift }
        return try weight(
            bits > 4 ? .int8 : .uint4, codes: try codes("qweight", packedColumns: packed, bits: bits, order: columns.order), scales: scales,
            zeros: try table("qzeros", zeros, groups: groups, isTransposed: true, columns), columns)
    }

    /// compressed-tensors `pack-quantized`: codes along the inputs with 2^(bits - 1) added. Source: its `pack_to_int32`.
    func packedIntegers() throws(LoadError) -> StoredWeight {
        let bits = settings.bits, offset = 1 << (bits - 1)
        if contains("weight_shape") {
            let shape = try typed("weight_shape", [.i64, .i32], shape: [2])
            let found = try checked("weight_shape") { () throws(TensorError) in try shape.integers() }
            guard found == [outputs, inputs] else { throw malformed("weight_shape", "is \(found) instead of [\(outputs), \(inputs)]") }
        }
        let packed = try tensor("weight_packed", .i32, .u32, shape: [outputs, (inputs * bits + 31) / 32])
        let size = min(settings.groupSize ?? inputs, inputs), groups = (inputs + size - 1) / size
        let columns = try columns("weight_g_idx", size: size, groups: groups)
        let values = try rowScales("weight_scale", groups: groups)
        let scales = try table("weight_scale", values, groups: groups, isTransposed: false, columns)
        // Unsigned codes less this are ours.
        let shift = bits > 4 ? 128 : 0
        var zeros = [Float](repeating: Float(offset - shift), count: outputs * groups)
        if contains("weight_zero_point") {
            if scope.record("weight_zero_point")?.type == .known(.i8) {
                let stored = try tensor("weight_zero_point", .i8, shape: [outputs, groups])
                stored.withUnsafeBytes { bytes in
                    for index in zeros.indices { zeros[index] += Float(Int8(bitPattern: bytes[index])) }
                }
            } else {
                // Packed along the outputs: words [outputs · bits / 32, groups].
                let words = (outputs * bits + 31) / 32
                let stored = try tensor("weight_zero_point", .i32, .u32, shape: [words, groups])
                let transposed = try checked("weight_zero_point") { () throws(TensorError) in try stored.transposed() }
                let byGroup = unpackedRows(transposed, bits: bits, rows: groups, count: outputs) { Float($0) - Float(shift) }
                for row in 0..<outputs {
                    for group in 0..<groups { zeros[row * groups + group] = byGroup[group * outputs + row] }
                }
            }
        } else if !settings.isSymmetric {
            throw .missingTensor(name: scope.prefix + "weight_zero_point", file: scope.checkpoint.path)
        }
        return try weight(
            bits > 4 ? .int8 : .uint4, codes: try codes("weight_packed", packedRows: packed, bits: bits, order: columns.order),
            scales: scales, zeros: try table("weight_scale", zeros, groups: groups, isTransposed: false, columns), columns)
    }

    /// `[rows, count]` of values packed row by row.
    private func unpackedRows(_ packed: TensorView, bits: Int, rows: Int, count: Int, _ value: (UInt8) -> Float) -> [Float] {
        let rowBytes = packed.bytesPerRow
        return packed.withUnsafeBytes { source in
            [Float](unsafeUninitializedCapacity: rows * count) { target, initialized in
                initialized = rows * count
                target.initialize(repeating: 0)
                withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count) { scratch in
                    guard let base = scratch.baseAddress, let from = source.baseAddress else { return }
                    for row in 0..<rows {
                        CodeUnpacking.unpack(from + row * rowBytes, bits: bits, count: count, into: base)
                        for index in 0..<count { target[row * count + index] = value(base[index]) }
                    }
                }
            }
        }
    }
}
