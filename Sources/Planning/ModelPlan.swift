package import Compute
package import Models
import Weights

/// What a model would take of a device, and how fast it could be there: `needletail plan`.
package struct ModelPlan: Sendable {
    package var name: String
    package var description: DecoderDescription
    package var weights: WeightFootprint
    package var cache: CacheFootprint
    package var device: Device
    package var workBytes: Int
    /// Tokens of the longest text, and texts at once, that were asked for.
    package var length: Int
    package var sequences: Int
    package var roofline: Roofline

    package struct Wish: Sendable {
        /// nil takes the model's own limit.
        package var length: Int?
        package var sequences: Int
        package var batchedTokens: Int
        package var blockSize: Int
        package var format: PlannedFormat?

        package init(length: Int?, sequences: Int, batchedTokens: Int, blockSize: Int, format: PlannedFormat?) {
            self.length = length
            self.sequences = sequences
            self.batchedTokens = batchedTokens
            self.blockSize = blockSize
            self.format = format
        }
    }

    /// - Parameters:
    ///   - backend: whose layout of the KV cache is taken.
    ///   - isHost: the device is this machine's processor, which multiplies GGUF's block types in 8 bits.
    package init(_ source: ModelSource, name: String, on device: Device, backend: any Backend, isHost: Bool, _ wish: Wish) throws {
        self.name = name
        self.device = device
        description = source.description
        var footprint = try WeightFootprint(source)
        if let format = wish.format { footprint = footprint.quantised(bits: format.bits, name: format.name, arithmetic: format.arithmetic) }
        weights = footprint
        cache = try CacheFootprint(source, on: backend, blockSize: wish.blockSize)
        length = wish.length ?? source.description.maxPositions
        sequences = wish.sequences
        workBytes = WorkSpace.byteCount(source.description, tokens: wish.batchedTokens, sequences: wish.sequences)
        let isBlocks = wish.format.map { !["awq", "gptq", "w4a16", "fp8"].contains($0.name) } ?? (source.checkpoint.gguf != nil)
        let arithmetic: Arithmetic = isHost ? (isBlocks && footprint.types.first?.name != "bf16" ? .int8 : .half) : footprint.arithmetic
        roofline = Roofline(description, weights, cache, device, arithmetic)
    }

    /// Bytes left for the KV cache; negative where weights and work space alone do not fit.
    package var cacheRoom: Int { device.usableByteCount - weights.byteCount - workBytes }

    /// Tokens of the longest single text that fits, at most `length`.
    package var longestText: Int { cacheRoom > 0 ? cache.longestText(in: cacheRoom, limit: length) : 0 }

    /// Texts of `length` tokens that fit at once.
    package var texts: Int { cacheRoom > 0 ? cache.texts(of: length, in: cacheRoom) : 0 }

    package var fits: Bool { texts > 0 }

    /// Tokens of context that the speeds are for.
    package var context: Int { min(1024, length) }

    /// Decoding alone, and as many texts at once as were asked for and fit.
    package var decode: [Roofline.Speed] {
        let most = min(sequences, max(1, cacheRoom > 0 ? cache.texts(of: context, in: cacheRoom) : 1))
        let counts = [1, 4, 16, 64, 256, 1024].filter { $0 < most } + [most]
        return counts.map { roofline.decode(sequences: $0, context: context) }
    }

    package var prefill: Roofline.Speed { roofline.prefill(tokens: context) }

    /// Devices of this kind that weights, work space and one full text would need, shared evenly.
    package var devicesNeeded: Int {
        let perDevice = device.usableByteCount - workBytes
        guard perDevice > 0 else { return 0 }
        return (weights.byteCount + cache.byteCount(length: length, sequences: 1) + perDevice - 1) / perDevice
    }

    /// What to do where it does not fit, or fits less than was asked for.
    package var advice: [String] {
        var advice: [String] = []
        let isWide = weights.types.first.map { ["bf16", "f16", "f32"].contains($0.name) } ?? false
        if longestText == 0 {
            if isWide {
                advice.append("quantised weights: --quantization q4_k takes \(QuantityText.bytes(weights.quantised(bits: 4.85, name: "", arithmetic: .half).byteCount))")
            }
            if devicesNeeded > 1 { advice.append("\(devicesNeeded) such devices together, or a larger one") }
        } else if texts == 0 {
            advice.append("--max-model-len \(longestText) or less, or a smaller --kv-cache-dtype")
            if isWide { advice.append("quantised weights leave more room for the cache") }
        } else if texts < sequences {
            let each = cache.longestText(in: cacheRoom / sequences, limit: length)
            advice.append(
                "\(sequences) texts at once fit up to \(each) tokens each; beyond that requests wait their turn (the cache is shared as texts grow)")
        }
        return advice
    }
}
