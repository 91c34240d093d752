import Compute
import JSON
import Tensors
import Weights

extension GGUFReader {
    func attention(layer: Int, of layers: Int, hidden: Int, maxPositions: Int) throws(LoadError) -> AttentionDescription {
        let heads = try perLayer("attention.head_count", layer: layer, default: nil)
        let kvHeads = try perLayer("attention.head_count_kv", layer: layer, default: heads)
        guard heads % kvHeads == 0 else {
            throw config.error("attention.head_count_kv", "is \(kvHeads), which does not divide the head count \(heads)")
        }
        let headDimension = try config.int("attention.key_length", in: 2...512, default: hidden / heads)
        guard headDimension % 2 == 0, 2...512 ~= headDimension else {
            throw config.error("attention.key_length", "gives heads of \(headDimension) elements; they must be even and at most 512")
        }
        let valueLength = try config.int("attention.value_length", in: 2...512, default: headDimension)
        guard valueLength == headDimension else { throw config.error("attention.value_length", "differs from the key length") }
        var attention = AttentionDescription(
            heads: heads, kvHeads: kvHeads, headDimension: headDimension, projectionBias: .ifPresent, outputBias: .ifPresent)
        let slides = try slides(layer: layer)
        if slides { attention.slidingWindow = try config.int(optional: "attention.sliding_window", in: 1...1 << 30) }
        let isUnrotated = architecture.unrotatedPeriod.map { (layer + 1) % $0 == 0 } ?? false
        if let style = architecture.rope, !isUnrotated, slides || !architecture.rotatesOnlySliding || !hasWindow {
            attention.rope = try rope(style: style, headDimension: headDimension, maxPositions: maxPositions, isLocal: slides && name == "gemma3")
        }
        if architecture.usesALiBi { attention.alibi = ALiBi(maxExponent: try config.float("attention.max_alibi_bias", default: 8)) }
        attention.clip = try config.float(optional: "attention.clamp_kqv").flatMap { $0 > 0 ? $0 : nil }
        attention.softcap = try config.float("attn_logit_softcapping", default: 0)
        attention.scale = try config.float(optional: "attention.scale")
        if architecture.layersScaledByHidden == layers { attention.scale = 1 / (Float(hidden) / Float(heads)).squareRoot() }
        attention.hasSinks = has("self_attn.sinks", layer: layer)
        if has("self_attn.qkv_proj", layer: layer) { attention.projection = .stacked }
        if has("self_attn.q_norm", layer: layer) { attention.headNorm = try headNorm() }
        return attention
    }

    private var hasWindow: Bool { config.has("attention.sliding_window") }

    /// A number for all layers, or an array with one for each.
    private func perLayer(_ key: String, layer: Int, default fallback: Int?) throws(LoadError) -> Int {
        if let list = config.value(key)?.array {
            guard layer < list.count, let value = list[layer].int, 1...4096 ~= value else {
                throw config.error(key, "has no number from 1 to 4096 for layer \(layer)")
            }
            return value
        }
        if let fallback { return try config.int(key, in: 1...4096, default: fallback) }
        return try config.int(key, in: 1...4096)
    }

    /// By the file's own pattern (a period, or a flag for each layer), else by the architecture.
    private func slides(layer: Int) throws(LoadError) -> Bool {
        if let pattern = config.value("attention.sliding_window_pattern") {
            if let flags = pattern.array { return layer < flags.count && (flags[layer].bool ?? false) }
            if let period = pattern.int, period > 0 { return (layer + 1) % period != 0 }
        }
        return architecture.slides.map { $0(layer) } ?? true
    }

    private func headNorm() throws(LoadError) -> HeadNormDescription {
        let isLayerNorm = config.has("attention.layer_norm_epsilon")
        return HeadNormDescription(isLayerNorm ? .layer : .rms(offset: 0), architecture.headNorm)
    }

    // MARK: Rotation

    private func rope(style: RopeFrequencies.Style, headDimension: Int, maxPositions: Int, isLocal: Bool) throws(LoadError) -> RopeFrequencies {
        let theta = isLocal ? 10_000 : try config.double("rope.freq_base", default: 10_000)
        guard theta > 0, theta.isFinite else { throw config.error("rope.freq_base", "is \(theta), but must be above 0") }
        let dimension = try config.int("rope.dimension_count", in: 2...512, default: headDimension)
        guard dimension <= headDimension, dimension % 2 == 0 else {
            throw config.error("rope.dimension_count", "is \(dimension), but must be even and at most the head's \(headDimension)")
        }
        // `context_length` already counts what scaling adds.
        var rope = RopeSettings(theta: theta, rotaryDimension: dimension, style: style, maxPositions: maxPositions)
        if isLocal { return try rope.frequencies() }
        rope.divisors = try factors("rope_freqs.weight", count: dimension / 2)
        rope.scaling = try scaling(dimension)
        return try rope.frequencies()
    }

    /// Divisors of frequencies that the file has as a tensor.
    private func factors(_ name: String, count: Int) throws(LoadError) -> [Float]? {
        guard checkpoint.contains(name) else { return nil }
        let tensor = try checkpoint.tensor(name)
        guard tensor.dtype == .f32, tensor.count == count else {
            throw LoadError.malformed(file: checkpoint.path, tensor: name, reason: "must be f32 [\(count)]")
        }
        return tensor.withUnsafeBytes { bytes in (0..<count).map { bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) } }
    }

    /// `rope.scaling.*` under the names that `RopeSettings` reads.
    private func scaling(_ dimension: Int) throws(LoadError) -> (type: String, reader: ConfigReader)? {
        var type = try config.string("rope.scaling.type", default: "none")
        var members = JSONObject()
        if let long = try factors("rope_factors_long.weight", count: dimension / 2), let short = try factors("rope_factors_short.weight", count: dimension / 2) {
            type = "longrope"
            members["long_factor"] = .array(long.map { .double(Double($0)) })
            members["short_factor"] = .array(short.map { .double(Double($0)) })
        }
        guard type != "none" else { return nil }
        if let factor = try config.double(optional: "rope.scaling.factor") { members["factor"] = .double(factor) }
        if let original = try config.double(optional: "rope.scaling.original_context_length") {
            members["original_max_position_embeddings"] = .double(original)
        }
        if let factor = try config.double(optional: "rope.scaling.attn_factor"), type != "yarn" { members["attention_factor"] = .double(factor) }
        members["truncate"] = .bool(architecture.truncatesYarn)
        return (type, ConfigReader(members, file: config.file, path: "rope.scaling."))
    }
}
