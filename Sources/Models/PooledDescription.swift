package import Step

/// The end of a model that gives an embedding or class scores rather than logits: pooling over the tokens, then a few linear layers.
package struct PooledDescription: Sendable, Equatable {
    package var pooling: PooledOutput.Pooling
    /// What a reader applies to the output unless it wants it raw.
    package var activation: PooledActivation
    package var layers: [PooledLayer] = []
    /// Names of the classes, in order; empty for embeddings.
    package var labels: [String] = []
    /// Columns that an embedding may be cut to; nil where cutting is not foreseen, empty for any.
    package var matryoshkaWidths: [Int]?
    /// Texts that go in front of inputs, by name: "query", "document".
    package var prompts: [String: String] = [:]

    package init(_ pooling: PooledOutput.Pooling, _ activation: PooledActivation, layers: [PooledLayer] = [], labels: [String] = []) {
        self.pooling = pooling
        self.activation = activation
        self.layers = layers
        self.labels = labels
    }

    package var isClassifier: Bool { !labels.isEmpty }
}

/// A linear layer behind the pooling.
package struct PooledLayer: Sendable, Equatable {
    package enum Activation: Sendable, Equatable { case identity, tanh, relu }

    /// Folder of a checkpoint of its own (sentence-transformers' Dense modules); nil for the model's.
    package var folder: String?
    /// Absolute name of the module; a name that starts with a dot is relative to the root of the model.
    package var name: String
    package var outputs: Int
    package var bias: Bias
    package var activation: Activation

    package init(_ name: String, outputs: Int, bias: Bias = .ifPresent, activation: Activation = .identity, folder: String? = nil) {
        self.name = name
        self.outputs = outputs
        self.bias = bias
        self.activation = activation
        self.folder = folder
    }
}

extension DecoderDescription {
    /// Columns of the rows that come out.
    package var outputWidth: Int { pooled.map { $0.layers.last?.outputs ?? hiddenSize } ?? vocabularySize }

    package var isBidirectional: Bool { layers.contains { $0.attention?.isBidirectional == true } }

    /// Tokens see later ones, or their rows are pooled together: a text must be computed in one step.
    package var needsWholeSequences: Bool { isBidirectional || (pooled.map { $0.pooling != .last } ?? false) }

    package var pooledOutput: PooledOutput? {
        pooled.map { PooledOutput(pooling: $0.pooling, width: outputWidth, activation: $0.activation) }
    }
}
