import Compute
import JSON
import Weights

/// SmolLM3: Llama without rotation in every fourth layer.
enum SmolLM3Family: DecoderFamily {
    static let architectures = ["SmolLM3ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try LlamaFamily.describe(config)
        decoder.family = "smollm3"
        let period = try config.int("no_rope_layer_interval", in: 1...1024, default: 4)
        let rotates = try config.ints(optional: "no_rope_layers")?.map { $0 != 0 } ?? decoder.layers.indices.map { ($0 + 1) % period != 0 }
        guard rotates.count == decoder.layers.count else {
            throw config.error("no_rope_layers", "has \(rotates.count) entries for \(decoder.layers.count) layers")
        }
        let slides = try config.qwenSlidingLayers(count: decoder.layers.count)
        let window = try config.slidingWindow()
        for index in decoder.layers.indices {
            if !rotates[index] { decoder.layers[index].attention?.rope = nil }
            if slides[index] { decoder.layers[index].attention?.slidingWindow = window }
        }
        return decoder
    }
}

/// Exaone 4: norms on what the branches add, head norms, and no rotation in global layers where others slide.
enum Exaone4Family: DecoderFamily {
    static let architectures = ["Exaone4ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "exaone4")
        decoder.setForm(.normedOutputs)
        decoder.eachAttention { $0.headNorm = HeadNormDescription(.rms(offset: 0)) }
        guard let window = try config.slidingWindow() else { return decoder }
        var slides = try pattern(config, decoder.layers.count)
        if let listed = try config.slidingLayers(count: decoder.layers.count) { slides = listed }
        for index in decoder.layers.indices {
            if slides[index] { decoder.layers[index].attention?.slidingWindow = window } else { decoder.layers[index].attention?.rope = nil }
        }
        return decoder
    }

    /// "LLLG": local and global layers in turn, the last one global. A number is the period, without that rule, as in Transformers.
    private static func pattern(_ config: ConfigReader, _ count: Int) throws(LoadError) -> [Bool] {
        if let period = config.value("sliding_window_pattern")?.int, period > 0 {
            return (0..<count).map { ($0 + 1) % period != 0 }
        }
        let letters = Array(try config.string("sliding_window_pattern", default: "LLLG"))
        guard !letters.isEmpty else { throw config.error("sliding_window_pattern", "is empty") }
        return (0..<count).map { letters[$0 % letters.count] == "L" && $0 != count - 1 }
    }
}

/// Ernie 4.5 (dense): Llama with rotation of adjacent pairs.
enum Ernie45Family: DecoderFamily {
    static let architectures = ["Ernie4_5ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "ernie4.5", rope: .interleaved, tiesEmbeddings: true)
        let bias = Bias(try config.bool("use_bias", default: false))
        decoder.setBiases(projection: bias, output: bias, mlp: bias)
        return decoder
    }
}

/// Helium: Llama with rotation of adjacent pairs.
enum HeliumFamily: DecoderFamily {
    static let architectures = ["HeliumForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "helium", rope: .interleaved)
        let bias = Bias(try config.bool("attention_bias", default: false))
        decoder.setBiases(projection: bias, mlp: Bias(try config.bool("mlp_bias", default: false)))
        return decoder
    }
}

/// Seed-OSS: Llama whose queries, keys and values have biases and whose output may.
enum SeedOssFamily: DecoderFamily {
    static let architectures = ["SeedOssForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "seed-oss")
        decoder.setBiases(
            projection: Bias(try config.bool("attention_bias", default: true)), output: Bias(try config.bool("attention_out_bias", default: false)),
            mlp: Bias(try config.bool("mlp_bias", default: false)))
        return decoder
    }
}

/// InternLM2: Llama with one projection laid out KV head by KV head, under names of its own.
enum InternLM2Family: DecoderFamily {
    static let architectures = ["InternLM2ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "internlm2")
        let bias = Bias(try config.bool("bias", default: false))
        decoder.setBiases(projection: bias, output: bias)
        decoder.eachAttention { $0.projection = .grouped }
        decoder.names.embedding = "tok_embeddings"
        decoder.names.head = "output"
        decoder.names.attentionNorm = "attention_norm"
        decoder.names.queryKeyValue = "attention.wqkv"
        decoder.names.attentionOutput = "attention.wo"
        decoder.names.mlpNorm = "ffn_norm"
        decoder.names.gate = "feed_forward.w1"
        decoder.names.up = "feed_forward.w3"
        decoder.names.down = "feed_forward.w2"
        return decoder
    }
}

/// InternLM and InternLM3: Llama with a `bias` key for all of attention, or keys for its two halves.
enum InternLMFamily: DecoderFamily {
    static let architectures = ["InternLMForCausalLM", "InternLM3ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "internlm")
        let bias = try config.bool("bias", default: false)
        decoder.setBiases(projection: Bias(try config.bool("qkv_bias", default: bias)), output: Bias(bias), mlp: .ifPresent)
        return decoder
    }
}

/// Baichuan: Llama with one fused projection; the 13B models have ALiBi instead of a rotation.
enum BaichuanFamily: DecoderFamily {
    static let architectures = ["BaichuanForCausalLM", "BaiChuanForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        // The two sizes share an architecture's name and are told apart by their width, as in vLLM.
        let usesALiBi = try config.int("hidden_size", in: 1...1 << 20) != 4096
        let hasPositions = config.has("max_position_embeddings")
        var decoder = try DecoderDescription(config: config, family: "baichuan", rope: usesALiBi && !hasPositions ? nil : .half)
        decoder.eachAttention {
            $0.projection = .stacked
            if usesALiBi && !hasPositions { $0.alibi = ALiBi() }
        }
        decoder.names.queryKeyValue = "self_attn.W_pack"
        // Baichuan 2 has a larger vocabulary, and normalises the rows of its head.
        decoder.normalisesHead = decoder.vocabularySize >= 125_000
        return decoder
    }
}

/// MiniCPM: Llama with factors on embeddings, branches and logits.
enum MiniCPMFamily: DecoderFamily {
    static let architectures = ["MiniCPMForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try LlamaFamily.describe(config)
        decoder.family = "minicpm"
        if !config.has("tie_word_embeddings") { decoder.tiesEmbeddings = true }
        decoder.embedding.scale = try config.float("scale_emb", default: 1)
        let depth = try config.float("scale_depth", default: Float(decoder.layers.count).squareRoot())
        for index in decoder.layers.indices { decoder.layers[index].residualScale = depth / Float(decoder.layers.count).squareRoot() }
        let base = try config.float("dim_model_base", default: Float(decoder.hiddenSize))
        decoder.logitScale = base / Float(decoder.hiddenSize)
        return decoder
    }
}

/// Arcee (AFM): Llama with an ungated MLP and squared ReLU.
enum ArceeFamily: DecoderFamily {
    static let architectures = ["ArceeForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "arcee", activation: "relu2", mlp: .plain)
        let bias = Bias(try config.bool("attention_bias", default: false))
        decoder.setBiases(projection: bias, output: bias, mlp: Bias(try config.bool("mlp_bias", default: false)))
        return decoder
    }
}

/// Hunyuan (dense, V1): Llama with head norms after the rotation.
enum HunyuanFamily: DecoderFamily {
    static let architectures = ["HunYuanDenseV1ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try LlamaFamily.describe(config)
        decoder.family = "hunyuan"
        decoder.names.queryNorm = "self_attn.query_layernorm"
        decoder.names.keyNorm = "self_attn.key_layernorm"
        decoder.eachAttention {
            var norm = HeadNormDescription(.rms(offset: 0))
            norm.followsRotation = true
            $0.headNorm = norm
        }
        return decoder
    }
}
