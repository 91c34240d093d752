import CKernels
import Glibc

/// The paged KV cache in host memory: block `b` holds, for each layer of a group, a page of `blockSize` tokens.
final class CPUCache {
    let layout: KVCacheLayout
    let blockCount: Int
    let bytesPerPage: Int
    let bytesPerBlock: Int
    private let type: nt_kv_type
    private let memory: HostMemory
    private let populator: CachePopulator

    /// - Parameter tokensAhead: tokens whose memory is asked for before they come.
    init(_ layout: KVCacheLayout, type: nt_kv_type, blockCount: Int, tokensAhead: Int) throws {
        self.layout = layout
        self.type = type
        self.blockCount = blockCount
        try Self.check(layout)
        bytesPerPage = Self.bytesPerPage(layout, type: type)
        bytesPerBlock = bytesPerPage * layout.layersPerBlock
        memory = try HostMemory(byteCount: bytesPerBlock * blockCount, for: "the KV cache")
        populator = CachePopulator(memory, margin: max(64 << 20, tokensAhead / layout.blockSize * bytesPerBlock))
    }

    /// The kernels' bounds.
    private static func check(_ layout: KVCacheLayout) throws {
        guard layout.blockSize > 0, layout.blockSize % 16 == 0 else {
            throw BackendError.shapeMismatch("blocks of \(layout.blockSize) tokens; the CPU backend takes multiples of 16")
        }
        for page in layout.pages {
            switch page {
            case .heads(let kvHeads, let key, let value):
                guard kvHeads > 0, [key, value].allSatisfy({ 1...Int(NT_KV_MAX_DIM) ~= $0 && $0 % 2 == 0 }) else {
                    throw BackendError.shapeMismatch("heads of \(key) and \(value) elements; the CPU backend takes even numbers up to \(NT_KV_MAX_DIM)")
                }
            case .latent(let rank, let rotary):
                guard rank > 0, rotary >= 0, rank % 2 == 0, rotary % 2 == 0, rank + rotary <= NT_KV_MAX_LATENT else {
                    throw BackendError.shapeMismatch(
                        "latents of \(rank) + \(rotary) elements; the CPU backend takes even numbers, together at most \(NT_KV_MAX_LATENT)")
                }
            case .state(let elements):
                guard elements > 0, elements <= 1 << 30 else {
                    throw BackendError.shapeMismatch("a state of \(elements) elements; the CPU backend takes up to \(1 << 30)")
                }
            }
        }
    }

    /// The largest page of the layers.
    static func bytesPerPage(_ layout: KVCacheLayout, type: nt_kv_type) -> Int {
        layout.pages.map { page in
            if case .state(let elements) = page { return (elements * 4 + 63) / 64 * 64 }
            var cache = shape(page, blockSize: layout.blockSize, type: type)
            return nt_kv_page_bytes(&cache)
        }.max() ?? 0
    }

    private static func shape(_ page: KVPage, blockSize: Int, type: nt_kv_type) -> nt_kv_cache {
        var cache = nt_kv_cache()
        cache.type = type
        cache.block_size = blockSize
        switch page {
        case .heads(let kvHeads, let headDimension, let valueDimension):
            cache.kv_heads = kvHeads
            cache.k_dim = headDimension
            cache.v_dim = valueDimension
        case .latent(let rank, let rotary):
            cache.latent = true
            cache.kv_heads = 1
            cache.k_dim = rank + rotary
            cache.v_dim = rank
        case .state: break
        }
        return cache
    }

    /// The pages of the layer at `place`, which keeps `page`, as the kernels take them.
    func layer(_ place: Int, _ page: KVPage) -> nt_kv_cache {
        var cache = Self.shape(page, blockSize: layout.blockSize, type: type)
        cache.page_stride = bytesPerBlock
        cache.pages = memory.base + place * bytesPerPage
        return cache
    }

    /// The state that the layer at `place` keeps in `block`.
    func state(_ place: Int, block: Int32) -> UnsafeMutablePointer<Float> {
        (memory.base + Int(block) * bytesPerBlock + place * bytesPerPage).assumingMemoryBound(to: Float.self)
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
    private var cacheElement: nt_kv_type {
        switch configuration.cacheType {
        case .float32: NT_KV_F32
        case .float16: NT_KV_F16
        case .bfloat16: NT_KV_BF16
        case .int8: NT_KV_INT8
        case .fp8, .fp8E4M3: NT_KV_E4M3
        case .fp8E5M2: NT_KV_E5M2
        case .auto: configuration.precision == .float32 ? NT_KV_F32 : NT_KV_BF16
        }
    }

    package func bytesPerBlock(_ layout: KVCacheLayout) -> Int {
        CPUCache.bytesPerPage(layout, type: cacheElement) * layout.layersPerBlock
    }

    package func makeCache(_ layout: KVCacheLayout, blockCount: Int) throws {
        cache = try CPUCache(layout, type: cacheElement, blockCount: blockCount, tokensAhead: 2 * configuration.maxBatchedTokens)
    }
}
