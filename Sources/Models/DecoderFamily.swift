import Compute
package import Weights

/// A family of models: from a configuration to the description of a decoder.
package protocol DecoderFamily: Sendable {
    /// Names in `architectures` of `config.json`.
    static var architectures: [String] { get }
    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription
}

/// The families that this build knows. Adding one is a file and a line here.
package enum DecoderFamilies {
    static let all: [any DecoderFamily.Type] = [
        LlamaFamily.self,
        MistralFamily.self,
        Qwen2Family.self,
    ]

    package static var supportedArchitectures: [String] { all.flatMap { $0.architectures }.sorted() }

    /// The description of the model in `config.json`.
    package static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        let names = try config.strings(optional: "architectures") ?? []
        for name in names {
            if let family = all.first(where: { $0.architectures.contains(name) }) { return try family.describe(config) }
        }
        let found = names.isEmpty ? "is missing" : "is \(names.joined(separator: ", ")), which is not supported"
        throw config.error("architectures", "\(found); supported are \(supportedArchitectures.joined(separator: ", "))")
    }
}

extension DecoderDescription {
    /// What Llama's configuration keys say; families change what differs.
    init(llamaLike config: ConfigReader, family: String, defaultTheta: Double = 10_000) throws(LoadError) {
        let hidden = try config.int("hidden_size", in: 1...1 << 20)
        let layerCount = try config.int("num_hidden_layers", in: 1...1024)
        let heads = try config.int("num_attention_heads", in: 1...4096)
        let kvHeads = try config.int("num_key_value_heads", in: 1...4096, default: heads)
        guard heads % kvHeads == 0 else {
            throw config.error("num_key_value_heads", "is \(kvHeads), which does not divide num_attention_heads (\(heads))")
        }
        let stated = try config.int(optional: "head_dim", in: 2...512)
        if stated == nil, hidden % heads != 0 {
            throw config.error("num_attention_heads", "is \(heads), which does not divide hidden_size (\(hidden))")
        }
        let headDimension = stated ?? hidden / heads
        guard headDimension % 2 == 0, 2...512 ~= headDimension else {
            throw config.error("head_dim", "is \(headDimension), but must be even and at most 512")
        }
        let maxPositions = try config.int("max_position_embeddings", in: 1...1 << 30, default: 2048)
        let activation = try config.activation()
        let rope = try RopeSettings(config, headDimension: headDimension, maxPositions: maxPositions, defaultTheta: defaultTheta)
        let layer = LayerDescription(
            attention: AttentionDescription(heads: heads, kvHeads: kvHeads, headDimension: headDimension, rope: try rope.frequencies()),
            mlp: MLPDescription(intermediateSize: try config.int("intermediate_size", in: 1...1 << 22), activation: activation))
        self.init(
            family: family, hiddenSize: hidden, vocabularySize: try config.int("vocab_size", in: 1...1 << 24), maxPositions: min(1 << 30, try rope.longestText()),
            layers: Array(repeating: layer, count: layerCount), normKind: .rms(offset: 0), normEpsilon: try config.float("rms_norm_eps", default: 1e-6),
            tiesEmbeddings: try config.bool("tie_word_embeddings", default: false),
            ignoredTensors: ["*.rotary_emb.inv_freq", "*.attn.bias", "*.attn.masked_bias"])
    }
}

extension ConfigReader {
    /// `hidden_act` as a gated MLP's activation.
    func activation(default name: String = "silu") throws(LoadError) -> Activation {
        let given = try string("hidden_act", "hidden_activation", "activation_function", default: name)
        switch given {
        case "silu", "swish": return .silu
        case "gelu": return .gelu
        case "gelu_new", "gelu_pytorch_tanh", "gelu_fast": return .geluTanh
        case "relu": return .relu
        case "relu2": return .reluSquared
        default: throw error("hidden_act", "is '\(given)', which is not known")
        }
    }

    /// Which layers slide, by `layer_types`; nil where the configuration has no such list.
    func slidingLayers(count: Int) throws(LoadError) -> [Bool]? {
        guard let types = try strings(optional: "layer_types") else { return nil }
        guard types.count == count else { throw error("layer_types", "has \(types.count) entries for \(count) layers") }
        for type in types where type != "full_attention" && type != "sliding_attention" {
            throw error("layer_types", "holds '\(type)'; known are full_attention and sliding_attention")
        }
        return types.map { $0 == "sliding_attention" }
    }
}
