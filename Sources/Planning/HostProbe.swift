package import Compute
import Tensors

/// This machine as a `Device`: its rates are those of our own kernels on all its threads, measured in a fraction of a second.
package enum HostProbe {
    /// - Parameters:
    ///   - available: bytes that the process may still take.
    ///   - backend: made for 16-bit activations (`ComputePrecision.auto`) and at least 256 tokens.
    package static func measure(_ backend: CPUBackend, available: Int) throws -> Device {
        // One row against a matrix that no cache holds is a decode step's work: its speed is that of reading the weights.
        let columns = 4096, rows = max(1024, min(32768, available / 16 / (columns * 2)))
        let large = try matrix(.bf16, [rows, columns], backend)
        let decode = try seconds(large, tokens: 1, backend)
        let square: Shape = [1024, 1024]
        let operations = 2.0 * 256 * 1024 * 1024
        let half = try seconds(try matrix(.bf16, square, backend), tokens: 256, backend)
        let int8 = try seconds(try matrix(.q8_0, square, backend), tokens: 256, backend)
        return Device(
            backend.summary, memoryByteCount: available, memoryBandwidth: Double(rows * columns * 2) / decode, half: operations / half,
            int8: operations / int8, usableShare: 1)
    }

    private static func matrix(_ dtype: DType, _ shape: Shape, _ backend: CPUBackend) throws -> Matrix {
        // Written bytes: untouched pages would all be one page of zeros. 0x3C3C is 0.011 in bfloat16, a small scale and code in Q8_0.
        try backend.makeMatrix([try TensorView.make(dtype, shape) { $0.initializeMemory(as: UInt8.self, repeating: 0x3C) }], biases: [])
    }

    /// Shortest of a few products with `tokens` rows.
    private static func seconds(_ matrix: Matrix, tokens: Int, _ backend: CPUBackend) throws -> Double {
        let x = try backend.makeTensor(rows: tokens, columns: matrix.inputs), y = try backend.makeTensor(rows: tokens, columns: matrix.outputs)
        x.floats.initialize(repeating: 0.5, count: tokens * matrix.inputs)
        let clock = ContinuousClock()
        var best = Double.infinity
        for _ in 0..<4 {
            let time = clock.measure { backend.linear(.plain(x), matrix, into: y) }
            best = min(best, time / .seconds(1))
        }
        return max(best, 1e-9)
    }
}
