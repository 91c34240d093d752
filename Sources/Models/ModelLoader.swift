package import Compute
import Step
import Tensors
package import Weights

/// A checkpoint that has been looked at: what the model is, before its weights are touched.
package struct ModelSource: Sendable {
    package let checkpoint: Checkpoint
    package let description: DecoderDescription

    /// Opens a folder in the hub's layout or a GGUF file.
    package init(path: String) throws(LoadError) {
        let opened = try Checkpoint.open(path)
        if let metadata = opened.gguf {
            checkpoint = try opened.renamed(GGUFDecoder.hubName)
            description = try GGUFDecoder.describe(metadata, checkpoint)
        } else {
            checkpoint = opened
            let config = try opened.config()
            description = try DecoderFamilies.describe(config).named(in: opened).ended(by: opened, config)
        }
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
    case mixedHeadShapes

    package var description: String {
        switch self {
        case .cacheTooSmall(let byteCount, let bytesPerBlock, let needed):
            "a KV cache of \(byteCount) bytes holds \(byteCount / max(1, bytesPerBlock)) blocks of \(bytesPerBlock) bytes, but at least \(needed) are needed; "
                + "raise --kv-cache-memory to \(bytesPerBlock * needed) or more"
        case .mixedHeadShapes: "layers with different KV heads or head sizes are not supported"
        }
    }
}

extension ModelSource {
    package var cachePlan: KVCachePlan { KVCachePlan(description.layers) }

    /// Bytes of one block of the KV cache on a backend.
    package func bytesPerBlock(_ backend: any Backend, blockSize: Int) throws -> Int {
        backend.bytesPerBlock(try layout(blockSize: blockSize))
    }

    private func layout(blockSize: Int) throws -> KVCacheLayout {
        let attentions = description.layers.compactMap(\.attention)
        guard let first = attentions.first else { throw ModelError.mixedHeadShapes }
        let sameShape = attentions.allSatisfy { $0.kvHeads == first.kvHeads && $0.headDimension == first.headDimension }
        guard sameShape else { throw ModelError.mixedHeadShapes }
        return cachePlan.layout(of: first, blockSize: blockSize)
    }

    /// Loads the weights and makes the KV cache.
    /// - Parameter progress: called with (parts done, parts in all).
    package func load(
        on backend: sending any Backend, options: ModelOptions, progress: @Sendable (Int, Int) -> Void = { _, _ in }
    ) throws -> sending DecoderRunner {
        let layout = try layout(blockSize: options.blockSize)
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
        spec.lengthDependentBeyond = description.layers.compactMap { $0.attention?.rope?.lengthDependentBeyond }.min()
        return DecoderRunner(decoder, kvCache: spec)
    }
}
