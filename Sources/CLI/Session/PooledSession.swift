import Models
import Server
import Step

extension EngineOptions {
    /// The same with room for the model's longest text in one step, where it cannot be cut.
    func fitting(_ description: DecoderDescription) -> EngineOptions {
        guard description.needsWholeSequences else { return self }
        var copy = self
        copy.maxNumBatchedTokens = max(maxNumBatchedTokens, maxModelLen?.count ?? description.maxPositions)
        return copy
    }
}

extension PooledModel {
    /// nil for a model that generates text.
    init?(_ description: DecoderDescription) {
        guard let pooled = description.pooled, let output = description.pooledOutput else { return nil }
        self.init(output: output, labels: pooled.labels, matryoshkaWidths: pooled.matryoshkaWidths, prompts: pooled.prompts)
    }

    /// "embeddings of 384 numbers (pooling mean, activation normalize)".
    var summary: String {
        let what = isClassifier ? "scores of \(labels.count) class\(labels.count == 1 ? "" : "es")" : "embeddings of \(output.width) numbers"
        return "\(what) (pooling \(output.pooling.rawValue), activation \(output.activation.rawValue))"
    }
}
