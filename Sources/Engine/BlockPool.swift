/// The KV cache's blocks: who holds them, in which order free ones are taken, and which prefixes they still contain.
///
/// A block is free when nobody holds it, but keeps its cached content until it is taken again. The free list's order is the eviction
/// order: blocks without cached content go to the head, cached ones to the tail. Block 0 is the null block and, never being free, serves
/// as both ends of the circular list.
///
/// Conservation law: `freeCount` + blocks with references = `count - 1`.
package struct BlockPool: Sendable {
    private struct Block {
        var references: Int32 = 0
        /// Neighbours in the free list; meaningless while held.
        var previous: Int32 = 0
        var next: Int32 = 0
        /// -1 when the content is not cached.
        var group: Int32 = -1
        var hash = BlockHash(low: 0, high: 0)
    }

    private struct Key: Hashable {
        let hash: BlockHash
        let group: Int32
    }

    private var blocks: [Block]
    private var cached: [Key: Int32] = [:]
    package private(set) var freeCount = 0

    /// - Parameter count: at least 2, the null block included.
    package init(count: Int) {
        blocks = Array(repeating: Block(), count: count)
        cached.reserveCapacity(count)
        for id in 1..<count { linkTail(Int32(id)) }
    }

    package var count: Int { blocks.count }
    package var heldCount: Int { blocks.count - 1 - freeCount }
    package var cachedCount: Int { cached.count }

    package func references(_ id: Int32) -> Int { Int(blocks[Int(id)].references) }
    package func isCached(_ id: Int32) -> Bool { blocks[Int(id)].group >= 0 }

    /// Takes the block at the head of the free list, with one reference; what it cached is forgotten.
    package mutating func allocate() -> Int32? {
        let id = blocks[0].next
        if id == 0 { return nil }
        unlink(id)
        forget(id)
        blocks[Int(id)].references = 1
        return id
    }

    /// One more holder; a free block leaves the free list with its content.
    package mutating func retain(_ id: Int32) {
        if blocks[Int(id)].references == 0 { unlink(id) }
        blocks[Int(id)].references += 1
    }

    /// One holder less; the last one puts the block back on the free list.
    package mutating func release(_ id: Int32) {
        precondition(blocks[Int(id)].references > 0, "block \(id) released more often than held")
        blocks[Int(id)].references -= 1
        if blocks[Int(id)].references > 0 { return }
        if blocks[Int(id)].group >= 0 { linkTail(id) } else { linkHead(id) }
    }

    /// Remembers that a held block contains the full block `hash` of `group`. A second block with the same content stays uncached, so that
    /// it is reused first.
    package mutating func cache(_ id: Int32, as hash: BlockHash, group: Int) {
        let key = Key(hash: hash, group: Int32(group))
        if blocks[Int(id)].group >= 0 || cached[key] != nil { return }
        cached[key] = id
        blocks[Int(id)].hash = hash
        blocks[Int(id)].group = Int32(group)
    }

    /// A block with this content, free or held.
    package func find(_ hash: BlockHash, group: Int) -> Int32? { cached[Key(hash: hash, group: Int32(group))] }

    /// Forgets all cached content.
    /// - Returns: false, and nothing happens, while any block is held.
    package mutating func forgetAll() -> Bool {
        if heldCount > 0 { return false }
        for id in 1..<blocks.count { blocks[id].group = -1 }
        cached.removeAll(keepingCapacity: true)
        return true
    }

    /// Free blocks, next to be taken first. For tests.
    package var freeList: [Int32] {
        var list: [Int32] = []
        var id = blocks[0].next
        while id != 0 {
            list.append(id)
            id = blocks[Int(id)].next
        }
        return list
    }

    private mutating func forget(_ id: Int32) {
        if blocks[Int(id)].group < 0 { return }
        cached.removeValue(forKey: Key(hash: blocks[Int(id)].hash, group: blocks[Int(id)].group))
        blocks[Int(id)].group = -1
    }

    private mutating func unlink(_ id: Int32) {
        let (previous, next) = (blocks[Int(id)].previous, blocks[Int(id)].next)
        blocks[Int(previous)].next = next
        blocks[Int(next)].previous = previous
        freeCount -= 1
    }

    private mutating func linkTail(_ id: Int32) { link(id, after: blocks[0].previous) }
    private mutating func linkHead(_ id: Int32) { link(id, after: 0) }

    private mutating func link(_ id: Int32, after previous: Int32) {
        let next = blocks[Int(previous)].next
        blocks[Int(id)].previous = previous
        blocks[Int(id)].next = next
        blocks[Int(previous)].next = id
        blocks[Int(next)].previous = id
        freeCount += 1
    }
}
