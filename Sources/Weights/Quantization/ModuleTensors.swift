import Tensors

/// The tensors of one quantised linear layer, taken with checks, and the parts of a `GroupedWeight` made of them.
struct ModuleTensors {
    /// The module's own scope.
    let scope: WeightScope
    let outputs: Int
    let inputs: Int
    let settings: ModuleQuantization

    /// Types in which scales are found.
    static let scaleTypes: [DType] = [.f32, .f16, .bf16, .f64, .f8_e4m3, .f8_e8m0]

    func contains(_ name: String) -> Bool { scope.contains(name) }

    func malformed(_ name: String, _ reason: String) -> LoadError {
        .malformed(file: scope.file(of: name), tensor: scope.prefix + name, reason: reason)
    }

    func tensor(_ name: String, _ dtypes: DType..., shape: Shape) throws(LoadError) -> TensorView {
        try typed(name, dtypes, shape: shape)
    }

    func typed(_ name: String, _ dtypes: [DType], shape: Shape?) throws(LoadError) -> TensorView {
        let view = try scope.tensor(name, shape: shape)
        guard dtypes.contains(view.dtype) else {
            throw .dtypeMismatch(
                name: scope.prefix + name, file: scope.file(of: name), expected: dtypes, found: view.dtype)
        }
        return view
    }

    /// Scales as floats in the file's order; E8M0 exponents become powers of two.
    func scales(_ name: String, shape: Shape?) throws(LoadError) -> [Float] {
        try floats(name, try typed(name, Self.scaleTypes, shape: shape))
    }

    func floats(_ name: String, _ view: TensorView) throws(LoadError) -> [Float] {
        if view.dtype == .f8_e8m0 || view.dtype == .u8 { return view.withUnsafeBytes { $0.map(powerOfTwo) } }
        return try checked(name) { () throws(TensorError) in try view.floats() }
    }

    /// A tensor of one element, whatever its rank.
    func scalar(_ name: String) throws(LoadError) -> Float {
        let values = try scales(name, shape: nil)
        guard values.count == 1 else { throw malformed(name, "has \(values.count) elements instead of one") }
        return values[0]
    }

    func checked<Value>(_ name: String, _ body: () throws(TensorError) -> Value) throws(LoadError) -> Value {
        do { return try body() } catch { throw malformed(name, error.reason) }
    }

    /// Which columns share a scale: by `g_idx` where the module has one, else as the file has them.
    /// - indices: the name of the tensor.
    /// - groups: groups in the file.
    func columns(_ indices: String, size: Int, groups: Int) throws(LoadError) -> ColumnGroups {
        guard contains(indices) else { return ColumnGroups(inputs: inputs, size: size) }
        let view = try typed(indices, [.i32, .i64], shape: [inputs])
        let groupOf = try checked(indices) { () throws(TensorError) in try view.integers() }
        // Written as -1 throughout where a writer reserved the tensor without using it.
        if groupOf.allSatisfy({ $0 == -1 }) { return ColumnGroups(inputs: inputs, size: size) }
        for (input, group) in groupOf.enumerated() where !(0..<groups ~= group) {
            throw malformed(indices, "input \(input) is in group \(group), but there are \(groups) groups")
        }
        return ColumnGroups(groupOf: groupOf, groups: groups, size: size)
    }

    /// f32 `[outputs, columns.sources.count]` of one value a group.
    /// - isTransposed: `values` are `[groups, outputs]`, not `[outputs, groups]`.
    func table(_ name: String, _ values: [Float], groups: Int, isTransposed: Bool, _ columns: ColumnGroups) throws(LoadError) -> TensorView {
        let sources = columns.sources, outputs = outputs
        return try checked(name) { () throws(TensorError) in
            try TensorView.make(.f32, [outputs, sources.count]) { bytes in
                let target = bytes.bindMemory(to: Float.self)
                values.withUnsafeBufferPointer { values in
                    for row in 0..<outputs {
                        for (place, group) in sources.enumerated() {
                            target[row * sources.count + place] = isTransposed ? values[group * outputs + row] : values[row * groups + group]
                        }
                    }
                }
            }
        }
    }

    /// Codes from packed rows: a window of them where they are as we have them, else a copy.
    /// - rows: `[outputs, words]`, whose bytes hold `inputs` values of `bits` bits in each row.
    func codes(_ name: String, packedRows rows: TensorView, bits: Int, order: [Int32]?) throws(LoadError) -> TensorView {
        let packedBytes = rows.bytesPerRow
        if bits == 4, order == nil, inputs % 2 == 0, packedBytes == inputs / 2,
            let window = TensorView(dtype: .u8, shape: [outputs, packedBytes], bytes: rows.bytes, owner: rows.owner)
        {
            return window
        }
        return try codes(name, rows, bits: bits, order: order) { source, expand in
            for row in 0..<outputs { expand(row, source + row * packedBytes) }
        }
    }

    /// Codes from packed columns.
    /// - columns: `[words, outputs]`.
    func codes(_ name: String, packedColumns columns: TensorView, bits: Int, order: [Int32]?) throws(LoadError) -> TensorView {
        let words = columns.rowCount, stride = 4 * words + 64
        return try codes(name, columns, bits: bits, order: order) { source, expand in
            withUnsafeTemporaryAllocation(byteCount: CodeUnpacking.stripWidth * stride, alignment: 64) { strip in
                guard let strip = strip.baseAddress else { return }
                for left in Swift.stride(from: 0, to: outputs, by: CodeUnpacking.stripWidth) {
                    let width = min(CodeUnpacking.stripWidth, outputs - left)
                    CodeUnpacking.transposeStrip(source, rows: words, columns: outputs, left: left, width: width, into: strip, stride: stride)
                    for column in 0..<width { expand(left + column, UnsafeRawPointer(strip) + column * stride) }
                }
            }
        }
    }

    /// - forEachRow: calls its second argument with each output and its packed row.
    private func codes(
        _ name: String, _ packed: TensorView, bits: Int, order: [Int32]?, _ forEachRow: (UnsafeRawPointer, (Int, UnsafeRawPointer) -> Void) -> Void
    ) throws(LoadError) -> TensorView {
        let areNibbles = bits <= 4, inputs = inputs
        let rowBytes = areNibbles ? (inputs + 1) / 2 : inputs
        return try checked(name) { () throws(TensorError) in
            try packed.withUnsafeBytes { source throws(TensorError) in
                try TensorView.make(.u8, [outputs, rowBytes]) { bytes in
                    guard let from = source.baseAddress, let to = bytes.baseAddress else { return }
                    guard let order else {
                        forEachRow(from) { row, codes in CodeUnpacking.expandRow(codes, bits: bits, count: inputs, into: to + row * rowBytes) }
                        return
                    }
                    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: rowBytes + inputs + 1) { scratch in
                        order.withUnsafeBufferPointer { order in
                            guard let expanded = scratch.baseAddress, let order = order.baseAddress else { return }
                            forEachRow(from) { row, codes in
                                CodeUnpacking.expandRow(codes, bits: bits, count: inputs, into: expanded)
                                CodeUnpacking.reorderRow(
                                    expanded, areNibbles: areNibbles, order: order, count: inputs, scratch: expanded + rowBytes,
                                    into: to + row * rowBytes)
                            }
                        }
                    }
                }
            }
        }
    }

    /// The finished weight. Zeros that are all 0 are left out; where the file's groups are of such sizes that only narrow ones fit them,
    /// the weight is spelled out.
    func weight(
        _ code: GroupedWeight.Code, codes: TensorView, scales: TensorView, zeros: TensorView? = nil, _ columns: ColumnGroups
    ) throws(LoadError) -> StoredWeight {
        let hasZeros = zeros?.withUnsafeBytes { bytes in bytes.bindMemory(to: Float.self).contains { $0 != 0 } } ?? false
        let weight = GroupedWeight(
            code: code, outputs: outputs, inputs: inputs, groupSize: columns.size, codes: codes, scales: scales, zeros: hasZeros ? zeros : nil,
            inputOrder: columns.order, storedBits: settings.bits)
        guard columns.isRegrouped, columns.size < Self.narrowestRegrouping else { return .grouped(weight) }
        return .dense(try spelledOut(.grouped(weight)))
    }

    /// Groups narrower than this cost more memory than f32 weights are worth.
    private static let narrowestRegrouping = 16

    /// f32 `[outputs, inputs]`.
    func spelledOut(_ weight: StoredWeight) throws(LoadError) -> TensorView {
        try checked("weight") { () throws(TensorError) in
            let values = try weight.floats()
            return try TensorView.make(.f32, [outputs, inputs]) { bytes in values.withUnsafeBytes { bytes.copyMemory(from: $0) } }
        }
    }
}

/// An OCP E8M0 scale: 2 to the power of the byte less 127; 255 is NaN.
func powerOfTwo(_ exponent: UInt8) -> Float {
    switch exponent {
    case 255: .nan
    case 0: 0x1p-127
    default: Float(bitPattern: UInt32(exponent) << 23)
    }
}
