import Compute
import Step
import Weights

/// BERT: an encoder with learned positions, token types and norms behind the residual sums.
enum BertFamily: DecoderFamily {
    static let architectures = [
        "BertModel", "BertForMaskedLM", "BertForPreTraining", "BertForSequenceClassification",
    ]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var encoder = try DecoderDescription(bert: config, family: "bert")
        encoder.embedding.positions = (offset: 0, rows: encoder.maxPositions)
        if try config.isClassifier() {
            let labels = try config.labels()
            encoder.pooled = PooledDescription(
                .first, try config.classifierActivation(labels.count),
                layers: [
                    PooledLayer(".pooler.dense", outputs: encoder.hiddenSize, bias: .required, activation: .tanh),
                    PooledLayer("classifier", outputs: labels.count, bias: .required),
                ],
                labels: labels)
        } else {
            encoder.pooled = PooledDescription(.first, .normalize)
        }
        return encoder
    }
}

/// RoBERTa and XLM-RoBERTa: BERT whose positions are counted from behind the padding token's id.
enum RobertaFamily: DecoderFamily {
    static let architectures = ["RobertaModel", "RobertaForMaskedLM", "RobertaForSequenceClassification"].flatMap { [$0, "XLM" + $0] }

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var encoder = try DecoderDescription(bert: config, family: "roberta")
        let offset = try config.int("pad_token_id", in: 0...1 << 20, default: 1) + 1
        guard offset < encoder.maxPositions else {
            throw config.error("max_position_embeddings", "is \(encoder.maxPositions), which leaves no position behind pad_token_id (\(offset - 1))")
        }
        encoder.embedding.positions = (offset: offset, rows: encoder.maxPositions)
        encoder.maxPositions -= offset
        encoder.names.root = "roberta"
        if try config.isClassifier() {
            let labels = try config.labels()
            encoder.pooled = PooledDescription(
                .first, try config.classifierActivation(labels.count),
                layers: [
                    PooledLayer("classifier.dense", outputs: encoder.hiddenSize, bias: .required, activation: .tanh),
                    PooledLayer("classifier.out_proj", outputs: labels.count, bias: .required),
                ],
                labels: labels)
        } else {
            encoder.pooled = PooledDescription(.first, .normalize)
        }
        return encoder
    }
}

extension DecoderDescription {
    fileprivate init(bert config: ConfigReader, family: String) throws(LoadError) {
        try self.init(config: config, family: family, norm: .layer, rope: nil, activation: "gelu", mlp: .plain, tiesEmbeddings: true)
        try config.require("position_embedding_type", is: "absolute")
        norm.epsilon = try config.float("layer_norm_eps", default: 1e-12)
        setForm(.postNorm)
        setBiases(projection: .required, output: .required, mlp: .required)
        eachAttention { $0.isBidirectional = true }
        hasFinalNorm = false
        embedding.hasNorm = true
        embedding.tokenTypes = try config.int("type_vocab_size", in: 1...1 << 16, default: 2)
        names.root = "bert"
        names.embedding = "embeddings.word_embeddings"
        names.embeddingNorm = "embeddings.LayerNorm"
        names.positions = "embeddings.position_embeddings"
        names.tokenTypes = "embeddings.token_type_embeddings"
        names.layers = "encoder.layer"
        names.query = "attention.self.query"
        names.key = "attention.self.key"
        names.value = "attention.self.value"
        names.attentionOutput = "attention.output.dense"
        names.attentionNorm = "attention.output.LayerNorm"
        names.up = "intermediate.dense"
        names.down = "output.dense"
        names.mlpNorm = "output.LayerNorm"
        // Of the objectives that the model was trained with.
        ignoredTensors += ["cls.*", "lm_head.*", "*pooler.*"]
    }
}
