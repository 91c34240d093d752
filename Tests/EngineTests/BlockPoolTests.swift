import Engine
import Testing

@Suite struct BlockPoolTests {
    /// The pool in ten lines: who holds what, the free order, what is cached where.
    struct Model {
        var references: [Int32: Int] = [:]
        var free: [Int32]
        var cached: [BlockHash: Int32] = [:]

        mutating func allocate() -> Int32? {
            if free.isEmpty { return nil }
            let id = free.removeFirst()
            cached = cached.filter { $0.value != id }
            references[id] = 1
            return id
        }
        mutating func retain(_ id: Int32) {
            free.removeAll { $0 == id }
            references[id, default: 0] += 1
        }
        mutating func release(_ id: Int32) {
            references[id]! -= 1
            if references[id]! > 0 { return }
            references[id] = nil
            free.insert(id, at: cached.values.contains(id) ? free.count : 0)
        }
        mutating func cache(_ id: Int32, _ hash: BlockHash) {
            if cached[hash] == nil, !cached.values.contains(id) { cached[hash] = id }
        }
    }

    @Test(arguments: [11, 12, 13, 14] as [UInt64])
    func agreesWithDictionaries(seed: UInt64) throws {
        print("block pool seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let key = HashKey(k0: seed, k1: 0)
        let hashes = (0..<30).map { BlockHash.next(after: .root(cacheSalt: nil, loraID: nil, key: key), tokens: [Int32($0)], key: key) }
        var pool = BlockPool(count: 24)
        var model = Model(free: (1..<24).map(Int32.init))
        for step in 0..<6000 {
            let held = model.references.keys.sorted()
            switch Int.random(in: 0..<5, using: &random) {
            case 0, 1: #expect(pool.allocate() == model.allocate())
            case 2:
                guard let id = held.randomElement(using: &random) else { continue }
                pool.release(id)
                model.release(id)
            case 3:
                guard let id = held.randomElement(using: &random) else { continue }
                let hash = hashes.randomElement(using: &random)!
                pool.cache(id, as: hash, group: 0)
                model.cache(id, hash)
            default:
                let hash = hashes.randomElement(using: &random)!
                let id = pool.find(hash, group: 0)
                #expect(id == model.cached[hash])
                #expect(pool.find(hash, group: 1) == nil)
                if let id {
                    pool.retain(id)
                    model.retain(id)
                }
            }
            try #require(pool.freeList == model.free, "seed \(seed), step \(step)")
            try #require(pool.freeCount + pool.heldCount == 23 && pool.heldCount == model.references.count)
            try #require(pool.cachedCount == model.cached.count)
        }
        #expect(!pool.forgetAll() || model.references.isEmpty)
        for (id, count) in model.references { for _ in 0..<count { pool.release(id) } }
        #expect(pool.forgetAll() && pool.cachedCount == 0 && pool.freeCount == 23)
    }

    private func allocate(_ pool: inout BlockPool) throws -> Int32 {
        let id = pool.allocate()
        return try #require(id)
    }

    @Test func deeperBlocksAreEvictedFirst() throws {
        let key = HashKey(k0: 1, k1: 1)
        var pool = BlockPool(count: 6)
        var hash = BlockHash.root(cacheSalt: nil, loraID: nil, key: key)
        var table: [Int32] = []
        for depth in 0..<3 {
            let id = try allocate(&pool)
            hash = .next(after: hash, tokens: [Int32(depth)], key: key)
            pool.cache(id, as: hash, group: 0)
            table.append(id)
        }
        let plain = try allocate(&pool)
        for id in table.reversed() { pool.release(id) }
        pool.release(plain)
        #expect(pool.freeList == [plain, 5, table[2], table[1], table[0]])
    }
}

@Suite struct BlockHashTests {
    /// OpenSSL's SIPHASH with a 16-byte result, key 00…0f, over the bytes 00, 01, …
    @Test func sipHashKnownAnswers() {
        let key = HashKey(k0: 0x0706_0504_0302_0100, k1: 0x0f0e_0d0c_0b0a_0908)
        #expect(BlockHash.of(words: [], key: key) == BlockHash(low: 0xe6a825ba047f81a3, high: 0x930255c71472f66d))
        #expect(BlockHash.of(words: [0x0706_0504_0302_0100], key: key) == BlockHash(low: 0x61f55862baa9623b, high: 0xb49714f364e2830f))
        #expect(BlockHash.of(words: [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908], key: key) == BlockHash(low: 0xbb54b067caa4e26e, high: 0x77052385bf1533fd))
    }

    @Test func everythingCounts() {
        let key = HashKey(k0: 5, k1: 6)
        func root(_ salt: String?, _ lora: Int32?, _ key: HashKey = key) -> BlockHash { .root(cacheSalt: salt, loraID: lora, key: key) }
        let base = root(nil, nil)
        let all = [
            base, root("", nil), root("a", nil), root("a\0", nil), root("aaaaaaaa", nil), root("aaaaaaaaa", nil), root(nil, 0), root(nil, 1),
            root("", 0), root(nil, nil, HashKey(k0: 5, k1: 7)),
            .next(after: base, tokens: [1, 2], key: key), .next(after: base, tokens: [2, 1], key: key),
            .next(after: root("a", nil), tokens: [1, 2], key: key), .next(after: base, tokens: [1, 2, 0], key: key),
            .next(after: base, tokens: [1], key: key),
        ]
        #expect(Set(all).count == all.count)
        #expect(root("a", 3) == root("a", 3))
    }
}
