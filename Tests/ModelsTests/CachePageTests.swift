import Compute
import Models
import Step
import Testing

/// What layers keep in the KV cache, and the room that blocks have for it.
@Suite struct CachePageTests {
    private func layer(kvHeads: Int, dimension: Int) -> LayerDescription {
        LayerDescription(
            attention: AttentionDescription(heads: 8, kvHeads: kvHeads, headDimension: dimension), mlp: MLPDescription(intermediateSize: 64, activation: .silu))
    }

    @Test func eachKindOfPageIsListedOnce() {
        let layers = [layer(kvHeads: 8, dimension: 64), layer(kvHeads: 2, dimension: 64), layer(kvHeads: 8, dimension: 64), layer(kvHeads: 2, dimension: 32)]
        let layout = KVCachePlan(layers).layout(of: layers, blockSize: 32)
        #expect(layout.pages == [64, 64, 32].enumerated().map { .heads(kvHeads: $0 == 0 ? 8 : 2, headDimension: $1, valueDimension: $1) })
        #expect(layout.layersPerBlock == 4 && layout.groups.count == 1 && layout.fewestHeads == 2)
    }

    @Test func latentsKeepOneRowForAllHeads() {
        let rope = RopeFrequencies(rotaryDimension: 64, style: .interleaved, rule: .fixed(Array(repeating: 1, count: 32)))
        let latent = LatentAttentionDescription(
            heads: 128, queryRank: 1536, rank: 512, plain: 128, rotary: 64, valueDimension: 128, rope: rope, scale: 1)
        var block = layer(kvHeads: 8, dimension: 64)
        block.mixer = .latent(latent)
        let layers = Array(repeating: block, count: 3)
        let layout = KVCachePlan(layers).layout(of: layers, blockSize: 32)
        #expect(layout.pages == [.latent(rank: 512, rotary: 64)] && layout.fewestHeads == 1)
        let backend = CPUBackend(.init(threadCount: 1, maxBatchedTokens: 16))
        #expect(backend.bytesPerBlock(layout) == 3 * 32 * 576 * 2)
    }

    @Test func byteTypesHalveTheCache() {
        let layers = [layer(kvHeads: 8, dimension: 128)]
        let layout = KVCachePlan(layers).layout(of: layers, blockSize: 32)
        for type in [KVCacheType.int8, .fp8, .fp8E4M3, .fp8E5M2] {
            var configuration = CPUBackend.Configuration(threadCount: 1, maxBatchedTokens: 16)
            configuration.cacheType = type
            // A byte an element, and a scale for each token's key and value of a head.
            #expect(CPUBackend(configuration).bytesPerBlock(layout) == 32 * 8 * (2 * 128 + 2 * 4))
        }
    }

    @Test func impossiblePagesAreRefused() {
        let backend = CPUBackend(.init(threadCount: 1, maxBatchedTokens: 16))
        for page in [KVPage.heads(kvHeads: 1, headDimension: 514, valueDimension: 64), .heads(kvHeads: 1, headDimension: 15, valueDimension: 16), .latent(rank: 1000, rotary: 64)] {
            let layout = KVCacheLayout(groups: [.init(slidingWindow: nil)], layersPerGroup: [1], blockSize: 32, pages: [page])
            #expect(throws: BackendError.self) { try backend.makeCache(layout, blockCount: 2) }
        }
    }
}
