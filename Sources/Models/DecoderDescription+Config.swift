import Compute
import Weights

extension DecoderDescription {
    /// What families say in common, under the keys of Llama's configuration or GPT-2's; a family changes what differs.
    ///
    /// - Parameters:
    ///   - norm: kind of all norms.
    ///   - rope: pairs that are rotated; nil for no rotary embedding.
    ///   - partialRotary: share of the head that is rotated where the configuration does not say.
    init(
        config: ConfigReader, family: String, norm: Norm.Kind = .rms(offset: 0), rope style: RopeFrequencies.Style? = .half,
        defaultTheta: Double = 10_000, partialRotary: Double = 1, activation defaultActivation: String = "silu", mlp form: MLPDescription.Form = .gated,
        tiesEmbeddings: Bool = false
    ) throws(LoadError) {
        let hidden = try config.int("hidden_size", "n_embd", "n_embed", "d_model", in: 1...1 << 20)
        let layerCount = try config.int("num_hidden_layers", "n_layer", "n_layers", "num_layers", in: 1...1024)
        let heads = try config.int("num_attention_heads", "n_head", "n_heads", in: 1...4096)
        let kvHeads = try config.int("num_key_value_heads", "num_kv_heads", "multi_query_group_num", in: 1...4096, default: heads)
        guard heads % kvHeads == 0 else {
            throw config.error("num_key_value_heads", "is \(kvHeads), which does not divide num_attention_heads (\(heads))")
        }
        let headDimension = try config.headDimension(hidden: hidden, heads: heads)
        let maxPositions = try config.int(
            "max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length", "seq_length", in: 1...1 << 30, default: 2048)
        let intermediate = try config.int(
            "intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim", in: 1...1 << 22, default: min(4 * hidden, 1 << 22))
        let epsilon = try config.float(
            "rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps", "layernorm_epsilon",
            default: norm == .layer ? 1e-5 : 1e-6)
        guard epsilon >= 0, epsilon < 1 else { throw config.error("rms_norm_eps", "is \(epsilon), but must be at least 0 and below 1") }
        var attention = AttentionDescription(heads: heads, kvHeads: kvHeads, headDimension: headDimension)
        var longest = maxPositions
        if let style {
            var settings = try RopeSettings(
                config, headDimension: headDimension, maxPositions: maxPositions, defaultTheta: defaultTheta, partialFactor: partialRotary)
            settings.style = style
            attention.rope = try settings.frequencies()
            longest = try settings.longestText()
        }
        let mlp = MLPDescription(intermediateSize: intermediate, activation: try config.activation(default: defaultActivation), form: form)
        self.init(
            family: family, hiddenSize: hidden, vocabularySize: try config.int("vocab_size", in: 1...1 << 24),
            maxPositions: min(1 << 30, longest), layers: Array(repeating: LayerDescription(attention: attention, mlp: mlp), count: layerCount),
            norm: NormDescription(norm, epsilon: epsilon), tiesEmbeddings: try config.bool("tie_word_embeddings", default: tiesEmbeddings),
            ignoredTensors: ["*.rotary_emb.inv_freq", "*.attn.bias", "*.attn.masked_bias", "*.attention.bias", "*.attention.masked_bias", "*.position_ids",
                // Scales of cached keys and values: ours are taken from the values themselves.
                "*.k_scale", "*.v_scale", "*.q_scale", "*.prob_scale", "*.k_proj.output_scale", "*.v_proj.output_scale"])
    }

    /// Changes every layer's attention.
    mutating func eachAttention(_ change: (inout AttentionDescription) -> Void) {
        for index in layers.indices {
            guard var attention = layers[index].attention else { continue }
            change(&attention)
            layers[index].attention = attention
        }
    }

    /// Changes every dense layer's MLP.
    mutating func eachMLP(_ change: (inout MLPDescription) -> Void) {
        for index in layers.indices {
            guard var mlp = layers[index].mlp else { continue }
            change(&mlp)
            layers[index].mlp = mlp
        }
    }

    /// Gives all layers this form.
    mutating func setForm(_ form: BlockForm) {
        for index in layers.indices { layers[index].form = form }
    }

    /// Biases of attention's and the MLP's linear layers, the same in all.
    mutating func setBiases(projection: Bias = .none, output: Bias = .none, mlp: Bias = .none) {
        eachAttention {
            $0.projectionBias = projection
            $0.outputBias = output
        }
        eachMLP { $0.bias = mlp }
    }
}

extension ConfigReader {
    /// `head_dim` and its dialects, else `hidden / heads`; even, at most 512.
    func headDimension(hidden: Int, heads: Int) throws(LoadError) -> Int {
        let stated = try int(optional: "head_dim", "attention_head_dim", "kv_channels", in: 1...1 << 20)
        if stated == nil, hidden % heads != 0 {
            throw error("num_attention_heads", "is \(heads), which does not divide hidden_size (\(hidden))")
        }
        let dimension = stated ?? hidden / heads
        guard dimension % 2 == 0, 2...512 ~= dimension else {
            throw error("head_dim", "is \(dimension), but must be even and at most 512")
        }
        return dimension
    }

    /// The activation under any of its usual keys.
    func activation(default name: String = "silu") throws(LoadError) -> Activation {
        try activation(named: try string("hidden_act", "hidden_activation", "activation_function", "activation", default: name))
    }

    func activation(named name: String) throws(LoadError) -> Activation {
        switch name {
        case "silu", "swish": .silu
        case "gelu", "gelu_python": .gelu
        case "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_accurate", "gelu_python_tanh": .geluTanh
        case "relu": .relu
        case "relu2": .reluSquared
        default: throw error("hidden_act", "is '\(name)', which is not known")
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

    /// `sliding_window`, nil where there is none or `use_sliding_window` says that it does not count.
    func slidingWindow() throws(LoadError) -> Int? {
        try bool("use_sliding_window", default: true) ? try int(optional: "sliding_window", in: 1...1 << 30) : nil
    }
}
