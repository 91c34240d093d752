package import Compute

/// Multi-head latent attention of one layer (DeepSeek-V2, arXiv 2405.04434): queries and keys have a part without and one with rotation,
/// and what is cached of a token is one latent for all heads and the key's rotated part.
package struct LatentAttentionDescription: Sendable, Equatable {
    package var heads: Int
    /// Width between the two halves of the query projection; nil for one matrix.
    package var queryRank: Int?
    /// Elements of a latent.
    package var rank: Int
    /// Elements of a query or key head that are not rotated, and that are.
    package var plain: Int
    package var rotary: Int
    package var valueDimension: Int
    package var rope: RopeFrequencies
    /// Factor on `q·k`.
    package var scale: Float
    /// Of the first projections and the output.
    package var bias = Bias.none
    /// Of the norms between the halves of a projection.
    package var normEpsilon: Float = 1e-6

    package init(
        heads: Int, queryRank: Int?, rank: Int, plain: Int, rotary: Int, valueDimension: Int, rope: RopeFrequencies, scale: Float
    ) {
        self.heads = heads
        self.queryRank = queryRank
        self.rank = rank
        self.plain = plain
        self.rotary = rotary
        self.valueDimension = valueDimension
        self.rope = rope
        self.scale = scale
    }

    /// Elements of a query head.
    package var queryDimension: Int { plain + rotary }
}
