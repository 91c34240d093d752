import CKernels

extension Activation {
    /// Writes `f(gate) * up`, or `f(gate)` where there is no `up`, as `out` says.
    /// - Parameters:
    ///   - gate, up: `[rows, width]`, `stride` floats between rows.
    func apply(gate: UnsafePointer<Float>, up: UnsafePointer<Float>?, stride: Int, rows: Int, width: Int, _ out: nt_out) {
        if case .swigluClamped(let alpha, let limit) = self {
            nt_activate_clamped(alpha, limit, gate, stride, up, stride, rows, width, out)
        } else {
            nt_activate(kernel, gate, stride, up, stride, rows, width, out)
        }
    }

    private var kernel: nt_activation {
        switch self {
        case .silu: NT_SILU
        case .geluTanh: NT_GELU_TANH
        case .gelu: NT_GELU_ERF
        case .geluQuick: NT_GELU_QUICK
        case .relu: NT_RELU
        case .reluSquared: NT_RELU2
        case .sigmoid: NT_SIGMOID
        case .tanh: NT_TANH
        case .identity, .swigluClamped: NT_IDENTITY
        }
    }
}
