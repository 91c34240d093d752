import Compute
package import Step

/// Runs steps of a decoder for the engine.
package final class DecoderRunner: StepRunner {
    package let decoder: Decoder
    package let kvCache: KVCacheSpec

    init(_ decoder: Decoder, kvCache: KVCacheSpec) {
        self.decoder = decoder
        self.kvCache = kvCache
    }

    package var vocabularySize: Int { decoder.description.vocabularySize }

    package var pooled: PooledOutput? { decoder.description.pooledOutput }
    package var needsWholeSequences: Bool { decoder.description.needsWholeSequences }

    package func run(_ batch: borrowing StepBatch) throws -> UnsafeMutableBufferPointer<Float> {
        try decoder(batch)
    }

    package func parallelFor(_ count: Int, _ body: @Sendable (Int) -> Void) {
        decoder.backend.parallelFor(count, body)
    }
}
