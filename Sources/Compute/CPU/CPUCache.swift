import CKernels
import Glibc

/// The paged KV cache in host memory: block `b` holds, for each layer of a group, a page of `blockSize` tokens.
final class CPUCache {
    let layout: KVCacheLayout
    let blockCount: Int
    let bytesPerPage: Int
    let bytesPerBlock: Int
    private let type: nt_type
    private let memory: HostMemory
    private let populator: CachePopulator

    /// - Parameter tokensAhead: tokens whose memory is asked for before they come.
    init(_ layout: KVCacheLayout, type: nt_type, blockCount: Int, tokensAhead: Int) throws {
        self.layout = layout
        self.type = type
        self.blockCount = blockCount
        bytesPerPage = Self.bytesPerPage(layout, type: type)
        bytesPerBlock = bytesPerPage * layout.layersPerBlock
        memory = try HostMemory(byteCount: bytesPerBlock * blockCount, for: "the KV cache")
        populator = CachePopulator(memory, margin: max(64 << 20, tokensAhead / layout.blockSize * bytesPerBlock))
    }

    static func bytesPerPage(_ layout: KVCacheLayout, type: nt_type) -> Int {
        var cache = shape(layout, type: type)
        return nt_kv_page_bytes(&cache)
    }

    private static func shape(_ layout: KVCacheLayout, type: nt_type) -> nt_kv_cache {
        var cache = nt_kv_cache()
        cache.type = type
        cache.block_size = layout.blockSize
        cache.kv_heads = layout.kvHeads
        cache.k_dim = layout.headDimension
        cache.v_dim = layout.valueDimension
        return cache
    }

    /// The pages of one layer, as the kernels take them.
    func layer(_ place: Int) -> nt_kv_cache {
        var cache = Self.shape(layout, type: type)
        cache.page_stride = bytesPerBlock
        cache.pages = memory.base + place * bytesPerPage
        return cache
    }

    /// Notes the highest block of a step; fresh ones are handed out in rising order.
    func use(upTo block: Int) {
        populator.use(upTo: (block + 1) * bytesPerBlock)
    }

    func copyBlock(from source: Int, to destination: Int) {
        memcpy(memory.base + destination * bytesPerBlock, memory.base + source * bytesPerBlock, bytesPerBlock)
    }
}

extension CPUBackend {
    private var cacheElement: nt_type {
        switch configuration.cacheType {
        case .float32: NT_F32
        case .float16: NT_F16
        case .bfloat16: NT_BF16
        case .auto: configuration.precision == .float32 ? NT_F32 : NT_BF16
        }
    }

    package func bytesPerBlock(_ layout: KVCacheLayout) -> Int {
        CPUCache.bytesPerPage(layout, type: cacheElement) * layout.layersPerBlock
    }

    package func makeCache(_ layout: KVCacheLayout, blockCount: Int) throws {
        cache = try CPUCache(layout, type: cacheElement, blockCount: blockCount, tokensAhead: 2 * configuration.maxBatchedTokens)
    }
}
