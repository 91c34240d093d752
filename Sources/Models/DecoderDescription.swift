package import Compute

/// A decoder-only transformer as data: what a family file makes of a configuration, and all that the shared `Decoder` needs to know.
package struct DecoderDescription: Sendable, Equatable {
    /// "llama", for logs.
    package var family: String
    package var hiddenSize: Int
    /// Rows of the embedding; the logits have as many columns.
    package var vocabularySize: Int
    /// Longest text the model was made for.
    package var maxPositions: Int
    package var layers: [LayerDescription]
    /// Every norm's style, but for those of query and key heads.
    package var norm: NormDescription
    package var embedding = EmbeddingDescription()
    /// False where the last block's output goes to the head as it is (OPT-350m).
    package var hasFinalNorm = true
    /// The output head is the embedding.
    package var tiesEmbeddings: Bool
    package var headBias = Bias.none
    /// Rows of the head are divided by their length (Baichuan 2).
    package var normalisesHead = false
    package var logitScale: Float = 1
    package var logitSoftcap: Float = 0
    /// What comes out instead of logits; nil for a model that predicts tokens.
    package var pooled: PooledDescription?
    /// Linear weights are stored `[inputs, outputs]` (GPT-2's Conv1D).
    package var storesTransposed = false
    package var names = DecoderNames()

    /// Tensors of the checkpoint that are not needed, as patterns with `*`.
    package var ignoredTensors: [String] = []
}

/// What becomes of token ids before the first block.
package struct EmbeddingDescription: Sendable, Equatable {
    package var scale: Float = 1
    /// Learned positions: how much is added to a position to find its row, and the rows of the table; nil for none.
    package var positions: (offset: Int, rows: Int)?
    /// A norm follows (BLOOM, BERT).
    package var hasNorm = false
    /// Width of the table where it is not the hidden size: projections stand after it and before the head (OPT-350m).
    package var width: Int?
    /// Rows of a table of token types whose first row is added to every token (BERT); 0 for none.
    package var tokenTypes = 0

    package init() {}

    package static func == (a: EmbeddingDescription, b: EmbeddingDescription) -> Bool {
        a.scale == b.scale && a.positions?.offset == b.positions?.offset && a.positions?.rows == b.positions?.rows && a.hasNorm == b.hasNorm
            && a.width == b.width && a.tokenTypes == b.tokenTypes
    }
}

/// How rows are normalised, and which parameters that has.
package struct NormDescription: Sendable, Equatable {
    package var kind: Norm.Kind
    package var epsilon: Float
    /// False for a norm without parameters (OLMo).
    package var hasWeight = true
    /// Stored weights lack this (Nemotron's LayerNorm1P; for RMS norms it is in `kind`).
    package var storedOffset: Float = 0

    package init(_ kind: Norm.Kind, epsilon: Float) {
        self.kind = kind
        self.epsilon = epsilon
    }
}

/// One transformer block.
package struct LayerDescription: Sendable, Equatable {
    package var mixer: Mixer
    package var feedForward: FeedForward
    package var form = BlockForm.preNorm
    /// Factor on what a branch adds to the residual stream.
    package var residualScale: Float = 1

    package init(_ mixer: Mixer, _ feedForward: FeedForward) {
        self.mixer = mixer
        self.feedForward = feedForward
    }

    package init(attention: AttentionDescription, mlp: MLPDescription) {
        self.init(.attention(attention), .dense(mlp))
    }

    /// nil where the block mixes tokens in another way. Setting it makes it an attention block.
    package var attention: AttentionDescription? {
        get { if case .attention(let attention) = mixer { attention } else { nil } }
        set { if let newValue { mixer = .attention(newValue) } }
    }

    /// nil where the block has a mixture of experts. Setting it makes it dense.
    package var mlp: MLPDescription? {
        get { if case .dense(let mlp) = feedForward { mlp } else { nil } }
        set { if let newValue { feedForward = .dense(newValue) } }
    }

    /// Tokens a query sees, itself included; nil for all before it.
    package var slidingWindow: Int? {
        switch mixer {
        case .attention(let attention): attention.slidingWindow
        case .latent, .shortConvolution, .deltaNet: nil
        }
    }
}

/// How a block lets tokens see each other.
package enum Mixer: Sendable, Equatable {
    case attention(AttentionDescription)
    case latent(LatentAttentionDescription)
    case shortConvolution(ShortConvolutionDescription)
    case deltaNet(DeltaNetDescription)
}

/// What a block does to each token by itself.
package enum FeedForward: Sendable, Equatable {
    case dense(MLPDescription)
    case mixture(MixtureDescription)
}

/// Where the norms of a block stand; `f` is attention, then the feed-forward part.
package enum BlockForm: Sendable, Equatable {
    /// `x + f(norm(x))`: Llama and most others.
    case preNorm
    /// `x + norm(f(x))`: OLMo 2, Exaone 4.
    case normedOutputs
    /// `x + norm'(f(norm(x)))`: Gemma 2 and 3, GLM-4.
    case sandwich
    /// `norm(x + f(x))`: OPT-350m, BERT.
    case postNorm
    /// `y + f(y)` with `y = norm(x)`: BLOOM with `apply_residual_connection_post_layernorm`.
    case normedResidual
    /// `x + attention(norm(x)) + mlp(norm'(x))`; `norm'` is `norm` where they share one: Falcon, GPT-J, Phi.
    case parallel(sharesNorm: Bool)
}
