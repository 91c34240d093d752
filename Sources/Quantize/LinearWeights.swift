import Tensors
import Weights

/// Which tensors of a hub checkpoint are weights of linear layers that quantisation schemes take: matrices inside the layers, but no routers
/// (small, and their choice is delicate), norms and tables.
enum LinearWeights {
    private static let kept = ["norm", "router", "embed", "gate.wg", "shared_expert_gate", "wte", "wpe", "conv1d"]
    private static let routers = ["mlp.gate.weight", "block_sparse_moe.gate.weight", "feed_forward.gate.weight", "ffn.gate.weight"]
    private static let layers = [".layers.", ".h.", ".blocks.", ".block."]

    static func contains(_ name: String, _ record: TensorRecord) -> Bool {
        guard name.hasSuffix(".weight"), record.shape.rank == 2, record.type.dtype?.isFloat ?? false else { return false }
        let dotted = "." + name
        return layers.contains { dotted.contains($0) } && !kept.contains { name.contains($0) } && !routers.contains { name.hasSuffix($0) }
    }

    /// Linear layers that stay as they are because nothing can read them quantised: experts stacked in one tensor.
    static func isStackedExperts(_ name: String, _ record: TensorRecord) -> Bool { record.shape.rank == 3 && name.contains("expert") }
}
