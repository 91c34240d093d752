/// The blocks of one sequence: a table per group, and the hashes of its full blocks.
package struct SequenceBlocks: Sendable {
    package struct Table: Sendable {
        /// Physical block of each logical block; 0 once out of the window.
        package internal(set) var blocks: [Int32] = []
        /// Leading entries that are 0.
        var dropped = 0
        var heldCount: Int { blocks.count - dropped }
    }

    /// `[groups]`.
    package internal(set) var tables: [Table]
    /// Of full blocks of known tokens, from the first on.
    var hashes: [BlockHash]
    /// Stands before the first block.
    let root: BlockHash
    /// Leading blocks already offered to the prefix cache.
    var offered = 0

    package init(groupCount: Int, hashes: [BlockHash], root: BlockHash) {
        tables = Array(repeating: Table(), count: groupCount)
        self.hashes = hashes
        self.root = root
    }

    var heldCount: Int {
        var sum = 0
        for table in tables { sum += table.heldCount }
        return sum
    }

    mutating func reserveCapacity(blocks: Int) {
        for index in tables.indices { tables[index].blocks.reserveCapacity(blocks) }
        hashes.reserveCapacity(blocks)
    }
}
