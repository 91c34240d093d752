import Tensors

/// Layouts with a byte for each weight.
extension ModuleTensors {
    /// FP8 E4M3 with a scale for the tensor, each row, each group of a row or each block: `w = float(weight) · scale`. What DeepSeek calls
    /// `weight_scale_inv` is multiplied too.
    func float8() throws(LoadError) -> StoredWeight {
        let name = contains("weight_scale_inv") ? "weight_scale_inv" : "weight_scale"
        let codes = try tensor("weight", .f8_e4m3, shape: [outputs, inputs])
        return try bytes(.float8, codes, scales: name)
    }

    /// Integers in two's complement, with a zero where the scheme is asymmetric: `w = (weight - zero) · scale`.
    func int8() throws(LoadError) -> StoredWeight {
        let codes = try tensor("weight", .i8, shape: [outputs, inputs])
        return try bytes(.int8, codes, scales: "weight_scale", zeros: contains("weight_zero_point") ? "weight_zero_point" : nil)
    }

    private func bytes(_ code: GroupedWeight.Code, _ codes: TensorView, scales name: String, zeros: String? = nil) throws(LoadError) -> StoredWeight {
        guard let view = TensorView(dtype: .u8, shape: codes.shape, bytes: codes.bytes, owner: codes.owner) else {
            throw malformed("weight", "is not a byte for each element")
        }
        if let block = settings.block {
            let columns = ColumnGroups(inputs: inputs, size: min(block.inputs, inputs))
            let rows = (outputs + block.outputs - 1) / block.outputs, groups = columns.sources.count
            // Model Optimizer keeps an axis of one after each.
            let shape: Shape = scope.record(name)?.shape.rank == 4 ? [rows, 1, groups, 1] : [rows, groups]
            let values = try scales(name, shape: shape)
            let scales = try checked(name) { () throws(TensorError) in
                try TensorView.make(.f32, [outputs, groups]) { bytes in
                    let target = bytes.bindMemory(to: Float.self)
                    for row in 0..<outputs {
                        let start = row / block.outputs * groups
                        for group in 0..<groups { target[row * groups + group] = values[start + group] }
                    }
                }
            }
            return try weight(code, codes: view, scales: scales, columns)
        }
        let size = min(settings.groupSize ?? inputs, inputs), groups = (inputs + size - 1) / size
        let columns = try columns("weight_g_idx", size: size, groups: groups)
        let scales = try table(name, try rowScales(name, groups: groups), groups: groups, isTransposed: false, columns)
        let zeroTable = try zeros.map { zeros throws(LoadError) in
            try table(zeros, try rowIntegers(zeros, groups: groups), groups: groups, isTransposed: false, columns)
        }
        return try weight(code, codes: try reordered(view, columns.order), scales: scales, zeros: zeroTable, columns)
    }

    private func reordered(_ codes: TensorView, _ order: [Int32]?) throws(LoadError) -> TensorView {
        guard let order else { return codes }
        let inputs = inputs
        return try checked("weight") { () throws(TensorError) in
            try codes.withUnsafeBytes { source throws(TensorError) in
                try TensorView.make(.u8, [outputs, inputs]) { bytes in
                    for row in 0..<outputs {
                        for column in 0..<inputs { bytes[row * inputs + column] = source[row * inputs + Int(order[column])] }
                    }
                }
            }
        }
    }

    /// `[outputs, groups]` of scales stored so, or `[outputs]` or one for the whole where there is one group.
    func rowScales(_ name: String, groups: Int) throws(LoadError) -> [Float] {
        let view = try typed(name, Self.scaleTypes + [.u8], shape: nil)
        return try spread(name, view.shape, try floats(name, view), groups: groups)
    }

    private func rowIntegers(_ name: String, groups: Int) throws(LoadError) -> [Float] {
        let view = try typed(name, [.i8, .u8, .i32], shape: nil)
        let values = try checked(name) { () throws(TensorError) in try view.integers() }
        return try spread(name, view.shape, values.map { Float($0) }, groups: groups)
    }

    private func spread(_ name: String, _ shape: Shape, _ values: [Float], groups: Int) throws(LoadError) -> [Float] {
        if shape == [outputs, groups] { return values }
        if groups == 1, values.count == 1 { return [Float](repeating: values[0], count: outputs) }
        if groups == 1, shape == [outputs] { return values }
        throw .shapeMismatch(name: scope.prefix + name, file: scope.file(of: name), expected: [outputs, groups], found: shape)
    }
}
