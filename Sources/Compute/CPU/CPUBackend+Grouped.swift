import CKernels
import Tensors

/// Weights of codes with scales (AWQ, GPTQ, int8, FP8, NF4, MXFP4): repacked in panels.
extension CPUBackend {
    /// - Parameter others: parts of the same matrix made before it; an order of inputs that one of them has is shared with it.
    func makePart(_ weight: GroupedWeight, firstColumn: Int, after others: [CPUMatrix.Part]) throws -> CPUMatrix.Part {
        try check(weight)
        var part = try withSource(weight) { source in
            var plan = nt_grouped()
            guard nt_grouped_plan(&source, &plan) else { return try makeWidenedPart(source, firstColumn: firstColumn) }
            return try makePanels(source, plan, firstColumn: firstColumn)
        }
        if let order = weight.inputOrder, !order.enumerated().allSatisfy({ $0.offset == $0.element }) {
            part.inputOrder = others.lazy.compactMap(\.inputOrder).first { $0.indices == order } ?? CPUMatrix.InputOrder(order)
        }
        return part
    }

    private func makePanels(_ source: nt_grouped_source, _ plan: nt_grouped, firstColumn: Int) throws -> CPUMatrix.Part {
        var plan = plan
        let panelBytes = nt_grouped_bytes(&plan, source.n, source.k)
        // The layout's description lies behind the panels and lives as long as they do.
        let memory = try HostMemory(byteCount: panelBytes + MemoryLayout<nt_grouped>.stride, for: "packed weights")
        let kept = (memory.base + panelBytes).bindMemory(to: nt_grouped.self, capacity: 1)
        kept.initialize(to: plan)
        forPanels(of: source.n) { panels in
            withUnsafePointer(to: source) { nt_grouped_pack($0, kept, memory.base, panels.lowerBound, panels.upperBound) }
        }
        return CPUMatrix.Part(
            type: NT_F32, data: UnsafeRawPointer(memory.base), rowStride: 0, outputs: source.n, firstColumn: firstColumn,
            grouped: UnsafePointer(kept), owner: memory)
    }

    /// Groups that fit no panel: float32 where nothing may be lost, else bfloat16.
    private func makeWidenedPart(_ source: nt_grouped_source, firstColumn: Int) throws -> CPUMatrix.Part {
        let exact = configuration.precision == .float32, inputs = source.k, stride = inputs * (exact ? 4 : 2)
        noteFallback("groups of \(source.group) inputs fit no kernel, so weights are widened to \(exact ? "float32" : "bfloat16")")
        let memory = try HostMemory(byteCount: source.n * stride, for: "dequantised weights")
        pool.parallelFor(source.n) { row, _ in
            withUnsafePointer(to: source) { source in
                if exact {
                    nt_grouped_dequantize_row(source, row, memory.floats + row * inputs)
                } else {
                    withUnsafeTemporaryAllocation(of: Float.self, capacity: inputs) { floats in
                        nt_grouped_dequantize_row(source, row, floats.baseAddress)
                        nt_f32_to_bf16(floats.baseAddress, (memory.base + row * stride).assumingMemoryBound(to: UInt16.self), inputs)
                    }
                }
            }
        }
        return CPUMatrix.Part(
            type: exact ? NT_F32 : NT_BF16, data: UnsafeRawPointer(memory.base), rowStride: stride, outputs: source.n, firstColumn: firstColumn,
            owner: memory)
    }

    /// Throws unless codes, scales, zeros, table and order are as large as the matrix says.
    private func check(_ weight: GroupedWeight) throws(BackendError) {
        let matrix = "[\(weight.outputs), \(weight.inputs)] in groups of \(weight.groupSize)"
        let possible = 1...Int(Int32.max)
        guard possible ~= weight.outputs, possible ~= weight.inputs, possible ~= weight.groupSize else { throw .shapeMismatch("no matrix can be \(matrix)") }
        func expect(_ view: TensorView?, _ what: String, _ dtypes: [DType], columns: Int) throws(BackendError) {
            guard let view else { return }
            let (count, overflow) = weight.outputs.multipliedReportingOverflow(by: columns)
            guard !overflow, dtypes.contains(view.dtype), view.count == count else {
                throw .shapeMismatch("\(view.shape) \(what) of type \(view.dtype) do not make a matrix \(matrix)")
            }
        }
        try expect(weight.codes, "codes", [.u8, .i8, .f8_e4m3], columns: weight.bytesPerRow)
        try expect(weight.scales, "scales", [.f32], columns: weight.groups)
        try expect(weight.zeros, "zeros", [.f32], columns: weight.groups)
        if case .table(let values) = weight.code, values.count != 16 {
            throw .shapeMismatch("a table of \(values.count) values for codes of 4 bits")
        }
        guard let order = weight.inputOrder else { return }
        var seen = [Bool](repeating: false, count: weight.inputs)
        for index in order where seen.indices.contains(Int(index)) { seen[Int(index)] = true }
        guard order.count == weight.inputs, seen.allSatisfy(\.self) else {
            throw .shapeMismatch("an order of \(order.count) inputs is no permutation of \(weight.inputs)")
        }
    }

    /// Lends the weight as the kernels read it.
    private func withSource<Result>(_ weight: GroupedWeight, _ body: (inout nt_grouped_source) throws -> Result) rethrows -> Result {
        var source = nt_grouped_source()
        var table: [Float] = []
        switch weight.code {
        case .uint4: source.code = NT_CODE_UINT4
        case .int8: source.code = NT_CODE_INT8
        case .float8: source.code = NT_CODE_FLOAT8
        case .table(let values): (source.code, table) = (NT_CODE_TABLE4, values)
        }
        (source.n, source.k, source.group) = (weight.outputs, weight.inputs, weight.groupSize)
        let scales = weight.scales.aligned(to: 4), zeros = weight.zeros?.aligned(to: 4)
        defer { withExtendedLifetime((weight, scales, zeros)) {} }
        source.codes = weight.codes.bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        source.scales = scales.bytes.baseAddress?.assumingMemoryBound(to: Float.self)
        source.zeros = zeros?.bytes.baseAddress?.assumingMemoryBound(to: Float.self)
        return try table.withUnsafeBufferPointer { values in
            source.table = table.isEmpty ? nil : values.baseAddress
            return try body(&source)
        }
    }
}
