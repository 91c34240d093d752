extension StoredWeight {
    /// The weight as `[outputs, inputs]` in f32, columns in the order of the inputs: the definition that kernels are held against, and a way
    /// out for backends without a kernel for a form. Throws for block types (dense GGUF) and for parts of the wrong size.
    package func floats() throws(TensorError) -> [Float] {
        switch self {
        case .dense(let view): try view.floats()
        case .grouped(let weight): try weight.floats()
        }
    }
}

extension GroupedWeight {
    /// As `StoredWeight.floats`.
    package func floats() throws(TensorError) -> [Float] {
        try check()
        let scales = try scales.floats(), zeros = try zeros?.floats()
        let values = codeValues
        let (inputs, groups, stride) = (inputs, groups, bytesPerRow)
        let isNibble = values.count == 16
        return codes.withUnsafeBytes { codes in
            [Float](unsafeUninitializedCapacity: outputs * inputs) { target, count in
                for row in 0..<outputs {
                    for column in 0..<inputs {
                        let group = row * groups + column / groupSize
                        let code: Int
                        if isNibble {
                            code = Int(codes[row * stride + column / 2] >> UInt8(4 * (column & 1)) & 15)
                        } else {
                            code = Int(codes[row * stride + column])
                        }
                        let place = inputOrder.map { Int($0[column]) } ?? column
                        target[row * inputs + place] = (values[code] - (zeros?[group] ?? 0)) * scales[group]
                    }
                }
                count = outputs * inputs
            }
        }
    }

    /// What each code stands for before zero and scale: 16 or 256 values.
    private var codeValues: [Float] {
        switch code {
        case .uint4: (0..<16).map(Float.init)
        case .int8: (0..<256).map { Float(Int8(truncatingIfNeeded: $0)) }
        case .float8: (0..<256).map { e4m3ToFloat(UInt8($0)) }
        case .table(let values): values
        }
    }

    /// Throws where the parts do not fit together.
    package func check() throws(TensorError) {
        guard outputs >= 0, inputs > 0, groupSize > 0 else {
            throw TensorError("\(outputs) × \(inputs) codes in groups of \(groupSize) are not possible")
        }
        if case .table(let values) = code, values.count != 16 { throw TensorError("a table has \(values.count) values instead of 16") }
        let codeShape: Shape = [outputs, bytesPerRow], scaleShape: Shape = [outputs, groups]
        guard codes.dtype == .u8, codes.shape == codeShape else {
            throw TensorError("codes are \(codes.dtype) \(codes.shape) instead of u8 \(codeShape)")
        }
        for (name, view) in [("scales", scales)] + (zeros.map { [("zeros", $0)] } ?? []) {
            guard view.dtype == .f32, view.shape == scaleShape else {
                throw TensorError("\(name) are \(view.dtype) \(view.shape) instead of f32 \(scaleShape)")
            }
        }
        guard let inputOrder else { return }
        var seen = [Bool](repeating: false, count: inputs)
        guard inputOrder.count == inputs else { throw TensorError("the order of \(inputs) inputs has \(inputOrder.count) entries") }
        for input in inputOrder {
            guard 0..<inputs ~= Int(input), !seen[Int(input)] else { throw TensorError("the order of inputs is no permutation") }
            seen[Int(input)] = true
        }
    }
}
