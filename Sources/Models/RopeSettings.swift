package import Compute
import Glibc
package import Weights

/// What a configuration says of the rotary embedding, in either dialect: `rope_theta` with `rope_scaling` (older hub files) or
/// `rope_parameters` (Transformers 5).
package struct RopeSettings: Sendable {
    package var theta: Double
    /// Dims of a head that are rotated.
    package var rotaryDimension: Int
    package var style = RopeFrequencies.Style.half
    package var maxPositions: Int
    /// The scaling's own object and its `rope_type`; nil for none.
    package var scaling: (type: String, reader: ConfigReader)?
    /// Divisors of the frequencies that a GGUF file carries as a tensor (`rope_freqs.weight`), `[rotary/2]`.
    package var divisors: [Float]?

    /// Where scaling's own object does not say what the model was trained on.
    private var originalPositions: Int?

    /// - Parameters:
    ///   - defaultTheta: where the configuration has none.
    ///   - partialFactor: share of the head that is rotated where the configuration says nothing.
    ///   - layerType: entry of a `rope_parameters` that has one for each kind of layer; nil is `full_attention`.
    package init(
        _ config: ConfigReader, headDimension: Int, maxPositions: Int, defaultTheta: Double = 10_000, partialFactor: Double = 1,
        layerType: String? = nil
    ) throws(LoadError) {
        var parameters = try config.object(optional: "rope_parameters")
        // Where each kind of layer has an entry, the one for full attention is meant unless another is asked for.
        if let own = try parameters?.object(optional: layerType ?? "full_attention") { parameters = own }
        let old = try config.object(optional: "rope_scaling")
        let source = parameters ?? old
        theta = try config.double("rope_theta", "rotary_emb_base", "rotary_base", default: defaultTheta)
        if let given = try parameters?.double(optional: "rope_theta") { theta = given }
        guard theta > 0, theta.isFinite else { throw config.error("rope_theta", "is \(theta), but must be above 0") }
        var factor = try config.double("partial_rotary_factor", "rotary_pct", "rope_pct", default: partialFactor)
        if let given = try parameters?.double(optional: "partial_rotary_factor") { factor = given }
        guard factor > 0, factor <= 1 else { throw config.error("partial_rotary_factor", "is \(factor), but must be in (0, 1]") }
        rotaryDimension = Int(Double(headDimension) * factor) & ~1
        if let given = try config.int(optional: "rotary_dim", in: 2...512) { rotaryDimension = given & ~1 }
        guard rotaryDimension > 0 else { throw config.error("partial_rotary_factor", "leaves nothing of a head to rotate") }
        guard rotaryDimension <= headDimension else {
            throw config.error("rotary_dim", "is \(rotaryDimension), more than the head's \(headDimension)")
        }
        self.maxPositions = maxPositions
        originalPositions = try config.int(optional: "original_max_position_embeddings", in: 1...1 << 30)
        if let source {
            let type = try source.string("rope_type", "type", default: "default")
            if type != "default" { scaling = (type, source) }
        }
    }

    /// Without a configuration: GGUF.
    package init(theta: Double, rotaryDimension: Int, style: RopeFrequencies.Style, maxPositions: Int) {
        self.theta = theta
        self.rotaryDimension = rotaryDimension
        self.style = style
        self.maxPositions = maxPositions
    }

    /// Longest text the scaled embedding is made for, as vLLM derives it: linear, dynamic and YaRN scaling stretch what the model was trained on.
    package func longestText() throws(LoadError) -> Int {
        guard let scaling else { return maxPositions }
        switch scaling.type {
        case "linear", "dynamic": return Int(Double(maxPositions) * (try positive(scaling.reader, "factor")))
        case "yarn":
            guard let original = try scaling.reader.int(optional: "original_max_position_embeddings", in: 1...1 << 30),
                let factor = try scaling.reader.double(optional: "factor"), factor > 0, factor < 1e6
            else { return maxPositions }
            return max(maxPositions, Int(Double(original) * factor))
        default: return maxPositions
        }
    }

    /// `theta^(-2i / d)` in float32 steps as the reference takes them.
    private var baseFrequencies: [Float] {
        (0..<rotaryDimension / 2).map { pair in
            Float(1) / powf(Float(theta), Float(2 * pair) / Float(rotaryDimension))
        }
    }

    package func frequencies() throws(LoadError) -> RopeFrequencies {
        var base = baseFrequencies
        if let divisors {
            for (pair, divisor) in divisors.enumerated() where pair < base.count { base[pair] /= divisor }
        }
        guard let scaling else { return make(.fixed(base)) }
        let reader = scaling.reader
        switch scaling.type {
        case "linear":
            let factor = try positive(reader, "factor")
            return make(.fixed(base.map { $0 / Float(factor) }))
        case "llama3": return make(.fixed(try llama3(base, reader)))
        case "dynamic":
            let factor = try positive(reader, "factor")
            return make(.dynamicNTK(base: theta, factor: factor, maxPositions: maxPositions))
        case "yarn": return try yarn(base, reader)
        case "longrope", "su": return try longrope(base, reader)
        case "mrope": return make(.fixed(base))
        default: throw reader.error("rope_type", "is '\(scaling.type)', which is not known; known are linear, dynamic, yarn, llama3 and longrope")
        }
    }

    private func make(_ rule: RopeFrequencies.Rule, scale: Float = 1) -> RopeFrequencies {
        RopeFrequencies(rotaryDimension: rotaryDimension, style: style, rule: rule, scale: scale)
    }

    private func positive(_ reader: ConfigReader, _ key: String) throws(LoadError) -> Double {
        let value = try reader.double(key)
        guard value > 0, value < 1e6 else { throw reader.error(key, "is \(value), but must be above 0 and below a million") }
        return value
    }

    /// Llama 3.1: low frequencies divided, high ones kept, a blend in between.
    private func llama3(_ base: [Float], _ reader: ConfigReader) throws(LoadError) -> [Float] {
        let factor = Float(try positive(reader, "factor"))
        let low = Float(try positive(reader, "low_freq_factor"))
        let high = Float(try positive(reader, "high_freq_factor"))
        let original = Float(try reader.int("original_max_position_embeddings", in: 1...1 << 30))
        guard high > low else { throw reader.error("high_freq_factor", "is \(high), but must be above low_freq_factor (\(low))") }
        return base.map { frequency in
            let wavelength = 2 * Float.pi / frequency
            if wavelength < original / high { return frequency }
            if wavelength > original / low { return frequency / factor }
            let smooth = (original / wavelength - low) / (high - low)
            return (1 - smooth) * frequency / factor + smooth * frequency
        }
    }

    /// YaRN (arXiv 2309.00071), with DeepSeek's `mscale` pair.
    private func yarn(_ base: [Float], _ reader: ConfigReader) throws(LoadError) -> RopeFrequencies {
        let original = try reader.int("original_max_position_embeddings", in: 1...1 << 30, default: maxPositions)
        let factor = try reader.double(optional: "factor") ?? Double(maxPositions) / Double(original)
        guard factor > 0, factor.isFinite else { throw reader.error("factor", "is \(factor), but must be above 0") }
        let fast = try reader.double("beta_fast", default: 32), slow = try reader.double("beta_slow", default: 1)
        let truncate = try reader.bool("truncate", default: true)
        let dimension = Double(rotaryDimension)
        let corrected = { (rotations: Double) in
            dimension * log(Double(original) / (rotations * 2 * Double.pi)) / (2 * log(self.theta))
        }
        var low = corrected(fast), high = corrected(slow)
        guard low.isFinite, high.isFinite else { throw reader.error("beta_fast", "and beta_slow give no finite range") }
        if truncate { (low, high) = (low.rounded(.down), high.rounded(.up)) }
        low = max(low, 0)
        high = min(high, dimension - 1)
        if low == high { high += 0.001 }
        let blended = base.enumerated().map { pair, frequency in
            let ramp = Float(min(max((Double(pair) - low) / (high - low), 0), 1))
            return frequency / Float(factor) * ramp + frequency * (1 - ramp)
        }
        return make(.fixed(blended), scale: try yarnScale(factor, reader))
    }

    private func yarnScale(_ factor: Double, _ reader: ConfigReader) throws(LoadError) -> Float {
        if let given = try reader.double(optional: "attention_factor") { return Float(given) }
        let scale = { (weight: Double) in factor <= 1 ? 1 : 0.1 * weight * log(factor) + 1 }
        if let mscale = try reader.double(optional: "mscale"), let all = try reader.double(optional: "mscale_all_dim"), mscale != 0, all != 0 {
            return Float(scale(mscale) / scale(all))
        }
        return Float(scale(1))
    }

    /// Phi-3's LongRoPE (arXiv 2402.13753): one list of divisors for short texts, one for long ones.
    private func longrope(_ base: [Float], _ reader: ConfigReader) throws(LoadError) -> RopeFrequencies {
        let original = try reader.int("original_max_position_embeddings", in: 1...1 << 30, default: originalPositions ?? maxPositions)
        let short = try divisors(reader, "short_factor"), long = try divisors(reader, "long_factor")
        let factor = Double(maxPositions) / Double(original)
        let common = factor <= 1 ? 1 : (1 + log(factor) / log(Double(original))).squareRoot()
        let scale = try reader.double(optional: "attention_factor") ?? common
        let shortScale = try reader.double(optional: "short_mscale") ?? scale
        let longScale = try reader.double(optional: "long_mscale") ?? scale
        let divided = { (by: [Float]) in zip(base, by).map { $0 / $1 } }
        return make(
            .byLength(
                threshold: original, short: divided(short), shortScale: Float(shortScale), long: divided(long), longScale: Float(longScale)))
    }

    private func divisors(_ reader: ConfigReader, _ key: String) throws(LoadError) -> [Float] {
        let values = try reader.doubles(key)
        guard values.count == rotaryDimension / 2, values.allSatisfy({ $0 > 0 && $0.isFinite }) else {
            throw reader.error(key, "must hold \(rotaryDimension / 2) numbers above 0, it has \(values.count)")
        }
        return values.map { Float($0) }
    }
}
