package import Step

/// What a served model gives where it does not generate text.
package struct PooledModel: Sendable {
    package var output: PooledOutput
    /// Names of the classes; empty for embeddings.
    package var labels: [String]
    /// Widths that an embedding may be cut to: nil for none, empty for any.
    package var matryoshkaWidths: [Int]?
    /// Texts that go in front of inputs, by name.
    package var prompts: [String: String]

    package init(output: PooledOutput, labels: [String] = [], matryoshkaWidths: [Int]? = nil, prompts: [String: String] = [:]) {
        self.output = output
        self.labels = labels
        self.matryoshkaWidths = matryoshkaWidths
        self.prompts = prompts
    }

    package var isClassifier: Bool { !labels.isEmpty }

    /// "computes embeddings", for refusals.
    var purpose: String { isClassifier ? "classifies texts" : "computes embeddings" }
}
