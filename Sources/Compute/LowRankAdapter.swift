import Step
package import Tensors

/// A low-rank adapter (LoRA, arXiv 2106.09685): on each of its modules, `y += scale * B (A x)`. Made ready on any thread, then installed
/// with a backend between two steps.
package final class LowRankAdapter: StepAdapter {
    package struct Part: Sendable {
        /// The base model's module, as `MatrixModule` names it.
        package var module: String
        /// A, `[rank, inputs]`, f32, f16 or bf16.
        package var down: TensorView
        /// B, `[outputs, rank]`, f32, f16 or bf16, in the order of the matrix's columns (`MatrixModule.outputOrder` applied).
        package var up: TensorView
        package var scale: Float

        package init(module: String, down: TensorView, up: TensorView, scale: Float) {
            self.module = module
            self.down = down
            self.up = up
            self.scale = scale
        }

        package var rank: Int { down.rowCount }
    }

    package let parts: [Part]

    package init(parts: [Part]) { self.parts = parts }

    /// Of its largest part.
    package var maxRank: Int { parts.map(\.rank).max() ?? 0 }
    package var byteCount: Int { parts.reduce(0) { $0 + $1.down.byteCount + $1.up.byteCount } }
}

/// A place in a model where an adapter can attach.
package struct AdapterTarget: Sendable, Equatable {
    package var module: MatrixModule
    package var inputs: Int

    package init(module: MatrixModule, inputs: Int) {
        self.module = module
        self.inputs = inputs
    }
}
