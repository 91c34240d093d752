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
        ArceeFamily.self,
        BaichuanFamily.self,
        BertFamily.self,
        BloomFamily.self,
        Cohere2Family.self,
        CohereFamily.self,
        DeepseekFamily.self,
        DeepseekV2Family.self,
        DeepseekV3Family.self,
        Ernie45Family.self,
        Exaone4Family.self,
        FalconFamily.self,
        GLM4Family.self,
        GLM4MoEFamily.self,
        GLMFamily.self,
        GPT2Family.self,
        GPTBigCodeFamily.self,
        GPTJFamily.self,
        GPTNeoXFamily.self,
        Gemma2Family.self,
        Gemma3Family.self,
        GemmaFamily.self,
        GptOssFamily.self,
        GraniteFamily.self,
        GraniteMoEFamily.self,
        HeliumFamily.self,
        HunyuanFamily.self,
        InternLM2Family.self,
        InternLMFamily.self,
        Lfm2Family.self,
        LlamaFamily.self,
        MPTFamily.self,
        MiniCPMFamily.self,
        MistralFamily.self,
        MixtralFamily.self,
        NemotronFamily.self,
        OPTFamily.self,
        Olmo2Family.self,
        Olmo3Family.self,
        OlmoEFamily.self,
        OlmoFamily.self,
        Phi3Family.self,
        PhiFamily.self,
        PhiMoEFamily.self,
        Qwen2Family.self,
        Qwen2MoEFamily.self,
        Qwen3Family.self,
        Qwen3MoEFamily.self,
        Qwen3NextFamily.self,
        RobertaFamily.self,
        SeedOssFamily.self,
        SmolLM3Family.self,
        StableLMFamily.self,
        Starcoder2Family.self,
    ]

    package static var supportedArchitectures: [String] { all.flatMap { $0.architectures }.sorted() }

    static func family(of config: ConfigReader) throws(LoadError) -> (any DecoderFamily.Type)? {
        for name in try config.strings(optional: "architectures") ?? [] {
            if let family = all.first(where: { $0.architectures.contains(name) }) { return family }
        }
        return nil
    }

    /// The description of the model in `config.json`; nil for an architecture that is not supported.
    static func known(_ config: ConfigReader) throws(LoadError) -> DecoderDescription? {
        guard let family = try family(of: config) else { return try describePooled(config) }
        return try family.describe(config)
    }

    /// The description of the model in `config.json`.
    package static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        if let description = try known(config) { return try checked(description, config) }
        let names = try config.strings(optional: "architectures") ?? []
        let found = names.isEmpty ? "is missing" : "is \(names.joined(separator: ", ")), which is not supported"
        throw config.error("architectures", "\(found); supported are \(supportedArchitectures.joined(separator: ", "))")
    }

    /// Numbers that families take one by one and that only together can be impossible.
    private static func checked(_ description: DecoderDescription, _ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        for layer in description.layers {
            guard case .mixture(let mixture) = layer.feedForward else { continue }
            do {
                try mixture.routing.validate()
            } catch {
                throw config.error("num_experts_per_tok", "and its neighbours are impossible: \(error)")
            }
        }
        return description
    }
}
