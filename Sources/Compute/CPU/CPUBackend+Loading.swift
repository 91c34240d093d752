import CKernels
import Glibc
package import Tensors

extension CPUBackend {
    package func makeMatrix(_ parts: [StoredWeight], biases: [TensorView?]) throws -> Matrix {
        guard let inputs = parts.first?.inputs else { throw BackendError.shapeMismatch("a matrix needs at least one part") }
        var made: [CPUMatrix.Part] = []
        var column = 0
        for part in parts {
            guard part.inputs == inputs else {
                throw BackendError.shapeMismatch("parts of one matrix differ in width: \(part.inputs) beside \(inputs)")
            }
            switch part {
            case .dense(let view): made.append(try makePart(view, firstColumn: column))
            case .grouped(let weight): made.append(try makePart(weight, firstColumn: column, after: made))
            }
            column += part.outputs
        }
        return adapters.watch(Matrix(outputs: column, inputs: inputs, storage: CPUMatrix(parts: made, bias: try makeBias(biases, parts))))
    }

    private func makeBias(_ biases: [TensorView?], _ parts: [StoredWeight]) throws -> HostMemory? {
        guard biases.contains(where: { $0 != nil }) else { return nil }
        let memory = try HostMemory(byteCount: parts.reduce(0) { $0 + $1.outputs } * 4, for: "a bias")
        var column = 0
        for (bias, part) in zip(biases, parts) {
            if let bias {
                guard bias.count == part.outputs else {
                    throw BackendError.shapeMismatch("a bias of \(bias.count) elements for \(part.outputs) outputs")
                }
                try widen(bias, into: memory.floats + column)
            }
            column += part.outputs
        }
        return memory
    }

    private func makePart(_ view: TensorView, firstColumn: Int) throws -> CPUMatrix.Part {
        guard view.shape.rank == 2 else { throw BackendError.shapeMismatch("a weight of shape \(view.shape) is no matrix") }
        let outputs = view.shape[0], inputs = view.shape[1]
        guard let type = view.dtype.kernelType, let base = view.bytes.baseAddress else {
            throw BackendError.unsupportedWeight(dtype: view.dtype, reason: "the CPU backend has no kernel for it")
        }
        guard nt_row_bytes(type, inputs) == view.bytesPerRow || outputs == 0 else {
            throw BackendError.unsupportedWeight(dtype: view.dtype, reason: "rows of \(inputs) elements do not fill its blocks")
        }
        if !nt_type_is_packable(type) {
            if type == NT_F16, configuration.precision != .float32 { noteFallback("float16 weights are multiplied at float32's rate") }
            return CPUMatrix.Part(type: type, data: base, rowStride: view.bytesPerRow, outputs: outputs, firstColumn: firstColumn, owner: view.owner)
        }
        let memory = try HostMemory(byteCount: nt_packed_bytes(type, outputs, inputs), for: "packed weights")
        forPanels(of: outputs) { nt_pack(type, base, outputs, inputs, memory.base, $0.lowerBound, $0.upperBound) }
        return CPUMatrix.Part(type: type, data: UnsafeRawPointer(memory.base), rowStride: 0, outputs: outputs, firstColumn: firstColumn, owner: memory)
    }

    /// Runs `body` for ranges of the panels of `outputs` rows, on all threads.
    func forPanels(of outputs: Int, _ body: (Range<Int>) -> Void) {
        let panels = nt_panels(outputs)
        let chunk = max(1, panels / (pool.threadCount * 8))
        pool.parallelFor((panels + chunk - 1) / chunk) { index, _ in body(index * chunk..<min(panels, (index + 1) * chunk)) }
    }

    package func makeEmbedding(_ table: TensorView) throws -> EmbeddingTable {
        guard table.shape.rank == 2, let type = table.dtype.kernelType, nt_row_bytes(type, table.shape[1]) == table.bytesPerRow else {
            throw BackendError.unsupportedWeight(dtype: table.dtype, reason: "it cannot be looked up as a table \(table.shape)")
        }
        return EmbeddingTable(rows: table.shape[0], columns: table.shape[1], storage: CPUEmbedding(type: type, view: table))
    }

    package func makeVector(_ values: TensorView) throws -> Vector {
        let memory = try HostMemory(byteCount: values.count * 4, for: "parameters")
        try widen(values, into: memory.floats)
        return Vector(count: values.count, storage: memory)
    }

    package func makeVector(_ values: [Float]) throws -> Vector {
        let memory = try HostMemory(byteCount: values.count * 4, for: "parameters")
        memory.floats.update(from: values, count: values.count)
        return Vector(count: values.count, storage: memory)
    }

    private func widen(_ view: TensorView, into destination: UnsafeMutablePointer<Float>) throws {
        guard let type = view.dtype.kernelType, nt_dequantize_row(type, view.bytes.baseAddress, destination, view.count) else {
            throw BackendError.unsupportedWeight(dtype: view.dtype, reason: "it cannot be read as float32 parameters")
        }
    }
}
