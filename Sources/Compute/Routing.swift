/// How a router's logits choose experts and weigh them.
package struct RoutingSpec: Sendable, Equatable {
    /// What becomes of a token's logits.
    package enum Scoring: Sendable, Equatable {
        /// Softmax over all experts, then the best ones (Mixtral, Qwen, DeepSeek-V2).
        case softmax
        /// A sigmoid of each (DeepSeek-V3, GLM-4.5, Llama 4).
        case sigmoid
        /// The best logits, then a softmax over those alone (gpt-oss, Granite).
        case softmaxOfChosen
        /// Phi-3.5-MoE: each choice is weighed by a softmax over the experts left whose logits come within `2 * jitter` of the best one,
        /// relative to the larger of it and their own size; then it is taken out. Weights are not normalised.
        case sparseMixer(jitter: Float)
    }

    /// Experts lie in equal groups; only those of the best groups can be chosen.
    package struct Groups: Sendable, Equatable {
        package enum Score: Sendable, Equatable { case best, sumOfTwoBest }

        package var count: Int
        package var chosen: Int
        package var score: Score

        package init(count: Int, chosen: Int, score: Score) {
            self.count = count
            self.chosen = chosen
            self.score = score
        }
    }

    package var experts: Int
    /// Experts per token.
    package var chosen: Int
    package var scoring: Scoring
    /// Divides a token's weights by their sum, plus `normaliserOffset` (DeepSeek-V3: 1e-20).
    package var normalises = false
    package var normaliserOffset: Float = 0
    /// Factor on the weights, after they are normalised (`routed_scaling_factor`).
    package var scale: Float = 1
    package var groups: Groups?
    /// The weight multiplies what enters the expert rather than what leaves it (Llama 4).
    package var weightsInput = false

    package init(experts: Int, chosen: Int, scoring: Scoring) {
        self.experts = experts
        self.chosen = chosen
        self.scoring = scoring
    }

    /// Throws what makes the numbers impossible.
    package func validate() throws(BackendError) {
        guard experts > 0, (1...experts).contains(chosen) else {
            throw .shapeMismatch("a token cannot choose \(chosen) of \(experts) experts")
        }
        guard let groups else { return }
        if case .sparseMixer = scoring { throw .shapeMismatch("sparse-mixer routing knows no groups of experts") }
        guard groups.count > 0, experts % groups.count == 0, (1...groups.count).contains(groups.chosen) else {
            throw .shapeMismatch("a token cannot choose \(groups.chosen) of \(groups.count) groups of \(experts) experts")
        }
        guard groups.chosen * (experts / groups.count) >= chosen else {
            throw .shapeMismatch("\(groups.chosen) groups of \(experts / groups.count) experts hold fewer than the \(chosen) that a token chooses")
        }
    }
}
