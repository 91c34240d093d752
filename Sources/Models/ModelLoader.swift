package import Compute
import Step
import Tensors
package import Weights

/// A checkpoint that has been looked at: what the model is, before its weights are touched.
package struct ModelSource: Sendable {
    package let checkpoint: Checkpoint
    package let description: DecoderDescription
    /// What the user should know before trusting the model's answers.
    package private(set) var warnings: [String] = []

    /// Opens a folder in the hub's layout or a GGUF file.
    package init(path: String) throws(LoadError) {
        let opened = try Checkpoint.open(path)
        if let metadata = opened.gguf {
            checkpoint = try opened.renamed(GGUFDecoder.hubName)
            description = try GGUFDecoder.describe(metadata, checkpoint)
            return
        }
        checkpoint = opened
        let config = try opened.config()
        let found: DecoderDescription
        if let known = try DecoderFamilies.known(config) {
            found = known
        } else if let guess = try UnknownFamily.describe(config, opened) {
            found = guess
            let name = try config.strings(optional: "architectures")?.first ?? "a model without 'architectures'"
            warnings.append(
                "\(name) is not a supported architecture; its configuration and tensors look like Llama's, so it is run as that. Compare its answers with a reference before use")
        } else {
            found = try DecoderFamilies.describe(config)
        }
        description = try found.named(in: opened).ended(by: opened, config)
    }
}

extension DecoderDescription {
    /// The same under the names that this checkpoint has. A head that is there is used, whatever the configuration says of tying.
    func named(in checkpoint: Checkpoint) -> DecoderDescription {
        var copy = self
        copy.names = names.rooted(in: checkpoint)
        return copy
    }
}

/// How a model is loaded.
package struct ModelOptions: Sendable {
    package var blockSize = 32
    /// Bytes for the KV cache.
    package var cacheByteCount: Int
    /// Tokens of one sequence; bounds what the cache is made for.
    package var maxBatchedTokens: Int

    package init(cacheByteCount: Int, maxBatchedTokens: Int) {
        self.cacheByteCount = cacheByteCount
        self.maxBatchedTokens = maxBatchedTokens
    }
}

/// Why a model cannot be loaded with these options.
package enum ModelError: Error, CustomStringConvertible {
    case cacheTooSmall(byteCount: Int, bytesPerBlock: Int, needed: Int)

    package var description: String {
        switch self {
        case .cacheTooSmall(let byteCount, let bytesPerBlock, let needed):
            "a KV cache of \(byteCount) bytes holds \(byteCount / max(1, bytesPerBlock)) blocks of \(bytesPerBlock) bytes, but at least \(needed) are needed; "
                + "raise --kv-cache-memory to \(bytesPerBlock * needed) or more"
        }
    }
}

extension ModelSource {
    package var cachePlan: KVCachePlan { KVCachePlan(description.layers) }

    /// Bytes of one block of the KV cache on a backend.
    package func bytesPerBlock(_ backend: any Backend, blockSize: Int) throws -> Int {
        backend.bytesPerBlock(layout(blockSize: blockSize))
    }

    private func layout(blockSize: Int) -> KVCacheLayout { cachePlan.layout(of: description.layers, blockSize: blockSize) }

    /// Loads the weights and makes the KV cache.
    /// - Parameter progress: called with (parts done, parts in all).
    package func load(
        on backend: sending any Backend, options: ModelOptions, progress: @Sendable (Int, Int) -> Void = { _, _ in }
    ) throws -> sending DecoderRunner {
        let layout = layout(blockSize: options.blockSize)
        let bytesPerBlock = backend.bytesPerBlock(layout)
        let blockCount = min(options.cacheByteCount / max(1, bytesPerBlock), Int(Int32.max) / options.blockSize)
        let needed = 1 + layout.groups.count
        guard blockCount >= needed else {
            throw ModelError.cacheTooSmall(byteCount: options.cacheByteCount, bytesPerBlock: bytesPerBlock, needed: needed)
        }
        let weights = checkpoint.weights()
        let decoder = try Decoder(
            description, weights: weights, backend: backend, places: cachePlan.places, maxTokens: options.maxBatchedTokens, progress: progress)
        try weights.requireAllUsed(ignoring: description.ignoredTensors)
        // Block-quantised weights were repacked: their pages in the file are not needed in memory any more.
        if checkpoint.gguf != nil { checkpoint.advise(.dontNeed) }
        try backend.makeCache(layout, blockCount: blockCount)
        var spec = KVCacheSpec(groups: layout.groups, blockSize: options.blockSize, blockCount: blockCount)
        spec.lengthDependentBeyond = description.layers.compactMap { $0.rope?.lengthDependentBeyond }.min()
        return DecoderRunner(decoder, kvCache: spec, forms: weights.quantizationReport)
    }
}
