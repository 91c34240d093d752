import Compute

/// What a `general.architecture` means beyond what metadata and tensors say: llama.cpp has it in code.
struct GGUFArchitecture: Sendable {
    /// Pairs that are rotated in the file's order of rows (llama.cpp permutes Llama's queries and keys at conversion); nil for no rotation.
    var rope: RopeFrequencies.Style?
    var activation = Activation.silu
    /// Attention and MLP read the same residual.
    var isParallel = false
    /// ALiBi instead of positions.
    var usesALiBi = false
    var headNorm = HeadNorm.Scope.shared
    /// Which layers a sliding window holds for, by index; nil for all.
    var slides: (@Sendable (Int) -> Bool)?
    /// The embedding is multiplied by the root of the hidden size.
    var scalesEmbedding = false
    /// `logit_scale` divides.
    var dividesLogits = false
    /// YaRN's range of pairs is rounded to whole ones. Files do not say that gpt-oss was trained without.
    var truncatesYarn = true
    /// How experts are weighed where the file does not say.
    var scoring = RoutingSpec.Scoring.softmax
    var normalisesExperts = true
    /// Layers that do not slide are not rotated either.
    var rotatesOnlySliding = false
    /// Every so many layers one is not rotated; nil for none.
    var unrotatedPeriod: Int?
    /// Layers of the model whose scores are scaled by the root of hidden size per head rather than of the head's size (Gemma's 27B).
    var layersScaledByHidden: Int?

    static let all: [String: GGUFArchitecture] = [
        "llama": .interleaved,
        "mistral": .interleaved,
        "mistral3": .interleaved,
        "arcee": .interleaved(activation: .reluSquared),
        "baichuan": .interleaved,
        "internlm2": .interleaved,
        "minicpm": GGUFArchitecture(rope: .interleaved, dividesLogits: true),
        "granite": GGUFArchitecture(rope: .interleaved, dividesLogits: true),
        "granitemoe": GGUFArchitecture(rope: .interleaved, dividesLogits: true, scoring: .softmaxOfChosen, normalisesExperts: false),
        "smollm3": GGUFArchitecture(rope: .interleaved, unrotatedPeriod: 4),
        "ernie4_5": .interleaved,
        "chatglm": .interleaved,
        "glm4": .interleaved,
        "olmo": .interleaved,
        "deepseek": GGUFArchitecture(rope: .interleaved, normalisesExperts: false),
        "command-r": GGUFArchitecture(rope: .interleaved, isParallel: true, headNorm: .perHead),
        "cohere2": GGUFArchitecture(rope: .interleaved, isParallel: true, slides: { ($0 + 1) % 4 != 0 }, rotatesOnlySliding: true),
        "qwen2": .half,
        "qwen2moe": GGUFArchitecture(rope: .half, normalisesExperts: false),
        "qwen3": .half,
        "qwen3moe": .half,
        "phi2": GGUFArchitecture(rope: .half, activation: .geluTanh, isParallel: true),
        "phi3": .half,
        "gemma": .gemma,
        "gemma2": .gemma(slides: { $0 % 2 == 0 }, layersScaledByHidden: 46),
        "gemma3": .gemma(slides: { ($0 + 1) % 6 != 0 }, layersScaledByHidden: 62),
        "stablelm": GGUFArchitecture(rope: .half, headNorm: .perHead),
        "starcoder": GGUFArchitecture(activation: .geluTanh),
        "starcoder2": .half(activation: .geluTanh),
        "gpt2": GGUFArchitecture(activation: .geluTanh),
        "gptneox": .half(activation: .gelu),
        "bloom": GGUFArchitecture(activation: .geluTanh, usesALiBi: true),
        "mpt": GGUFArchitecture(activation: .gelu, usesALiBi: true),
        "falcon": GGUFArchitecture(rope: .half, activation: .gelu, isParallel: true),
        "olmo2": GGUFArchitecture(rope: .half, headNorm: .whole),
        "olmoe": GGUFArchitecture(rope: .half, headNorm: .whole, normalisesExperts: false),
        "nemotron": .half(activation: .reluSquared),
        "seed_oss": .half,
        "exaone4": GGUFArchitecture(rope: .half, slides: { ($0 + 1) % 4 != 0 }, rotatesOnlySliding: true),
        "gpt-oss": GGUFArchitecture(
            rope: .half, activation: .swigluClamped(alpha: 1.702, limit: 7), slides: { $0 % 2 == 0 }, truncatesYarn: false,
            scoring: .softmaxOfChosen, normalisesExperts: false),
    ]

    static let interleaved = GGUFArchitecture(rope: .interleaved)
    static let half = GGUFArchitecture(rope: .half)
    static let gemma = gemma(slides: nil, layersScaledByHidden: nil)

    static func interleaved(activation: Activation) -> GGUFArchitecture { GGUFArchitecture(rope: .interleaved, activation: activation) }
    static func half(activation: Activation) -> GGUFArchitecture { GGUFArchitecture(rope: .half, activation: activation) }
    static func gemma(slides: (@Sendable (Int) -> Bool)?, layersScaledByHidden: Int?) -> GGUFArchitecture {
        GGUFArchitecture(
            rope: .half, activation: .geluTanh, slides: slides, scalesEmbedding: true, layersScaledByHidden: layersScaledByHidden)
    }
}
