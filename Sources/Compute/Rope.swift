/// Frequencies of a rotary position embedding (RoFormer, arXiv 2104.09864), scaling applied.
///
/// Where the frequencies depend on the length of the text (dynamic NTK, longrope), a token at position `p` of a request whose prompt has
/// `n` tokens is rotated for length `max(n, p + 1)`: what a reference does that prefills the prompt at once and then decodes. It is a
/// function of the request alone, so chunking, batching and recomputation do not change it.
package struct RopeFrequencies: Sendable, Equatable {
    package enum Style: Sendable, Equatable {
        /// Pairs `(i, i + rotary/2)`.
        case half
        /// Pairs `(2i, 2i + 1)`.
        case interleaved
    }

    package enum Rule: Sendable, Equatable {
        /// `[rotary/2]` angles per position.
        case fixed([Float])
        /// `short` up to `threshold` tokens, `long` beyond (longrope), each with its factor on cos and sin.
        case byLength(threshold: Int, short: [Float], shortScale: Float, long: [Float], longScale: Float)
        /// Base raised once the text is longer than `maxPositions` (dynamic NTK).
        case dynamicNTK(base: Double, factor: Double, maxPositions: Int)
    }

    /// Dims of a head that are rotated, from the first.
    package var rotaryDimension: Int
    package var style: Style
    package var rule: Rule
    /// Factor on cos and sin (YaRN's attention factor).
    package var scale: Float

    package init(rotaryDimension: Int, style: Style, rule: Rule, scale: Float = 1) {
        self.rotaryDimension = rotaryDimension
        self.style = style
        self.rule = rule
        self.scale = scale
    }

    /// Tokens of a prompt from which cached keys depend on its length; nil where they never do.
    package var lengthDependentBeyond: Int? {
        switch rule {
        case .fixed: nil
        case .byLength(let threshold, _, _, _, _): threshold
        case .dynamicNTK(_, _, let maxPositions): maxPositions
        }
    }
}
