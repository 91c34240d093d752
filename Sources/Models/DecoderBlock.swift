import Compute

/// One transformer block, ready to run.
struct DecoderBlock {
    let mixer: BlockMixer
    let attentionNorms: BranchNorms
    let feedForward: BlockFeedForward
    let mlpNorms: BranchNorms
    /// Attention and feed-forward part read the same residual.
    let isParallel: Bool
    let residualScale: Float
}

/// The norms around one branch of a block; at most `input` and `output`, or one of the other two.
struct BranchNorms {
    /// Before the branch.
    var input: Norm?
    /// On what the branch adds.
    var output: Norm?
    /// On the residual before the branch.
    var residual: Norm?
    /// On the sum.
    var sum: Norm?
}

/// What lets tokens see each other.
enum BlockMixer {
    case attention(BlockAttention)
    case latent(BlockLatentAttention)
    case shortConvolution(BlockShortConvolution)
    case deltaNet(BlockDeltaNet)

    /// Columns of the first projection: queries, keys and values, of latent attention the queries alone.
    var projectionColumns: Int {
        switch self {
        case .attention(let attention): attention.spec.projectionColumns
        case .latent(let latent): latent.queries.outputs
        case .shortConvolution(let convolution): convolution.projection.outputs
        case .deltaNet(let net): net.projection.outputs
        }
    }

    /// Columns of what the output projection reads.
    var attendedColumns: Int { output.inputs }

    var output: Matrix {
        switch self {
        case .attention(let attention): attention.output
        case .latent(let latent): latent.output
        case .shortConvolution(let convolution): convolution.output
        case .deltaNet(let net): net.output
        }
    }
}

struct BlockAttention {
    let projection: Matrix
    let spec: AttentionSpec
    let output: Matrix
}

enum BlockFeedForward {
    case dense(BlockMLP)
    case mixture(Mixture)

    /// Columns between the two products of a dense part.
    var hiddenColumns: Int {
        switch self {
        case .dense(let mlp): mlp.up.outputs
        case .mixture: 0
        }
    }
}

struct BlockMLP {
    /// Gate and up side by side, or up alone.
    let up: Matrix
    let activation: Activation
    let isGated: Bool
    let down: Matrix
}
