package import Tensors

/// The sixteen values of FP4 E2M1; bit 3 is the sign.
package let fp4Values: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]

extension ModuleTensors {
    /// NVFP4: pairs of FP4 low nibble first, an E4M3 scale for 16 of them, and a scale of the whole. compressed-tensors divides by that one
    /// (`weight_global_scale`), Model Optimizer multiplies (`weight_scale_2`).
    func nvfp4() throws(LoadError) -> StoredWeight {
        let columns = ColumnGroups(inputs: inputs, size: settings.groupSize ?? 16), groups = columns.sources.count
        let name = contains("weight_packed") ? "weight_packed" : "weight"
        let codes = try tensor(name, .u8, shape: [outputs, (inputs + 1) / 2])
        var values = try scales("weight_scale", shape: [outputs, groups])
        if contains("weight_global_scale") {
            let divisor = try scalar("weight_global_scale")
            for index in values.indices { values[index] /= divisor }
        } else {
            let factor = try scalar("weight_scale_2")
            for index in values.indices { values[index] *= factor }
        }
        let scales = try table("weight_scale", values, groups: groups, isTransposed: false, columns)
        return try weight(.table(fp4Values), codes: codes, scales: scales, columns)
    }

    /// MXFP4 as compressed-tensors writes it: as NVFP4, but with an E8M0 scale for 32.
    func mxfp4() throws(LoadError) -> StoredWeight {
        let columns = ColumnGroups(inputs: inputs, size: settings.groupSize ?? 32), groups = columns.sources.count
        let codes = try tensor("weight_packed", .u8, shape: [outputs, (inputs + 1) / 2])
        let exponents = try tensor("weight_scale", .u8, .f8_e8m0, shape: [outputs, groups])
        let scales = try table("weight_scale", try floats("weight_scale", exponents), groups: groups, isTransposed: false, columns)
        return try weight(.table(fp4Values), codes: codes, scales: scales, columns)
    }
}

extension StoredWeight {
    /// One expert's matrix of a gpt-oss checkpoint.
    /// - blocks: u8 `[outputs, inputs / 32, 16]`, two FP4 a byte, low nibble first.
    /// - scales: u8 `[outputs, inputs / 32]`, E8M0.
    package static func mxfp4(blocks: TensorView, scales: TensorView) throws(TensorError) -> StoredWeight {
        guard blocks.dtype == .u8, blocks.shape.rank == 3, blocks.shape[2] == 16 else {
            throw TensorError("MXFP4 blocks are \(blocks.dtype) \(blocks.shape) instead of u8 [outputs, inputs / 32, 16]")
        }
        let outputs = blocks.shape[0], groups = blocks.shape[1]
        guard groups > 0, groups <= 1 << 26 else { throw TensorError("MXFP4 blocks are \(blocks.shape)") }
        guard scales.dtype == .u8 || scales.dtype == .f8_e8m0, scales.shape == [outputs, groups] else {
            throw TensorError("MXFP4 scales are \(scales.dtype) \(scales.shape) instead of u8 [\(outputs), \(groups)]")
        }
        let values = try scales.withUnsafeBytes { exponents throws(TensorError) in
            try TensorView.make(.f32, [outputs, groups]) { bytes in
                let target = bytes.bindMemory(to: Float.self)
                for index in 0..<exponents.count { target[index] = powerOfTwo(exponents[index]) }
            }
        }
        return .grouped(
            GroupedWeight(
                code: .table(fp4Values), outputs: outputs, inputs: 32 * groups, groupSize: 32, codes: try blocks.reshaped([outputs, 16 * groups]),
                scales: values, storedBits: 4))
    }
}
