package import Compute
package import Step
package import Weights

/// Runs steps of a decoder for the engine.
package final class DecoderRunner: StepRunner {
    package let decoder: Decoder
    package let kvCache: KVCacheSpec
    /// In which forms linear layers were found.
    package let forms: QuantizationReport

    init(_ decoder: Decoder, kvCache: KVCacheSpec, forms: QuantizationReport) {
        self.decoder = decoder
        self.kvCache = kvCache
        self.forms = forms
    }

    /// What is multiplied on a slow path, and why.
    package var fallbacks: [String] { decoder.backend.fallbacks }

    package var vocabularySize: Int { decoder.description.vocabularySize }

    package var pooled: PooledOutput? { decoder.description.pooledOutput }
    package var needsWholeSequences: Bool { decoder.description.needsWholeSequences }

    package func run(_ batch: borrowing StepBatch) throws -> UnsafeMutableBufferPointer<Float> {
        try decoder(batch)
    }

    package func install(_ adapter: any StepAdapter, as id: Int32) throws {
        guard let adapter = adapter as? LowRankAdapter else { throw StepAdapterError("a \(type(of: adapter)) is no adapter of a decoder") }
        try decoder.backend.install(adapter, as: id)
    }

    package func removeAdapter(_ id: Int32) { decoder.backend.removeAdapter(id) }

    /// Where adapters can attach, as the matrices lie in memory; `ModelSource.adapters(of:)` gives what adapters are loaded for.
    package var adapterTargets: [AdapterTarget] { decoder.backend.adapterTargets }

    package func parallelFor(_ count: Int, _ body: @Sendable (Int) -> Void) {
        decoder.backend.parallelFor(count, body)
    }
}
