/// A token of a word that is being joined: its id and its bytes in the word. `next` and `previous` link the tokens of long words.
struct BPESymbol: BitwiseCopyable {
    var id: Int32
    var start: Int32
    /// 0 once the token has become part of its left neighbour.
    var size: Int32
    var previous: Int32 = -1, next: Int32 = -1
    /// Short words: rank and id of this token joined with the next.
    var rank: UInt32 = .max
    var joined: Int32 = -1

    @inline(__always) init(id: Int32, start: Int32, size: Int32) {
        self.id = id
        self.start = start
        self.size = size
    }
}

/// Two neighbours of a long word that may join.
struct MergeCandidate: BitwiseCopyable {
    /// Rank, then place: the order in which neighbours join.
    var order: UInt64
    var id: Int32

    @inline(__always) init(rank: UInt32, place: Int, id: Int32) {
        order = UInt64(rank) << 32 | UInt64(truncatingIfNeeded: place)
        self.id = id
    }

    @inline(__always) var place: Int { Int(order & 0xFFFF_FFFF) }
}

/// Joins the tokens of one word. Short words are scanned for the lowest rank again and again; long ones keep a heap of candidates, so
/// that a megabyte without a space takes n log n steps.
struct BPEMerger {
    let joining: BPEModel.Joining
    let pieces: PieceTable
    let word: UnsafePointer<UInt8>
    static let fewSymbols = 48

    @inline(__always) private func join(_ left: BPESymbol, _ right: BPESymbol) -> (rank: UInt32, id: Int32) {
        switch joining {
        case .merges(let table): return table.find(left.id, right.id)
        case .pieces(let ranks):
            let id = pieces.find(word + Int(left.start), Int(left.size &+ right.size))
            if id < 0 { return (.max, -1) }
            let rank = ranks[Int(id)]
            return rank == .max ? (.max, -1) : (rank, id)
        }
    }

    func mergeFew(_ symbols: inout [BPESymbol]) {
        var count = symbols.count
        if count < 2 { return }
        symbols.withUnsafeMutableBufferPointer { symbols in
            for index in 0..<(count &- 1) { (symbols[index].rank, symbols[index].joined) = join(symbols[index], symbols[index &+ 1]) }
            while true {
                var best = -1, rank = UInt32.max
                for index in 0..<(count &- 1) where symbols[index].joined >= 0 && (symbols[index].rank < rank || best < 0) {
                    best = index
                    rank = symbols[index].rank
                }
                if best < 0 { return }
                symbols[best].id = symbols[best].joined
                symbols[best].size &+= symbols[best &+ 1].size
                count &-= 1
                for index in (best &+ 1)..<max(count, best &+ 1) { symbols[index] = symbols[index &+ 1] }
                if best &+ 1 < count {
                    (symbols[best].rank, symbols[best].joined) = join(symbols[best], symbols[best &+ 1])
                } else {
                    symbols[best].joined = -1
                }
                if best > 0 { (symbols[best &- 1].rank, symbols[best &- 1].joined) = join(symbols[best &- 1], symbols[best]) }
            }
        }
        symbols.removeLast(symbols.count - count)
    }

    func mergeMany(_ symbols: inout [BPESymbol], _ heap: inout [MergeCandidate]) {
        heap.removeAll(keepingCapacity: true)
        symbols.withUnsafeMutableBufferPointer { symbols in
            let count = symbols.count
            for index in 0..<count {
                symbols[index].previous = Int32(truncatingIfNeeded: index &- 1)
                symbols[index].next = index &+ 1 < count ? Int32(truncatingIfNeeded: index &+ 1) : -1
                if index &+ 1 < count {
                    let found = join(symbols[index], symbols[index &+ 1])
                    if found.id >= 0 { heap.append(MergeCandidate(rank: found.rank, place: index, id: found.id)) }
                }
            }
            CandidateHeap.build(&heap)
            while let top = CandidateHeap.pop(&heap) {
                let place = top.place
                if symbols[place].size == 0 || symbols[place].next < 0 { continue }
                let right = Int(symbols[place].next)
                // The neighbours may have changed since.
                if join(symbols[place], symbols[right]).id != top.id { continue }
                symbols[place].id = top.id
                symbols[place].size &+= symbols[right].size
                symbols[right].size = 0
                let after = symbols[right].next
                symbols[place].next = after
                if after >= 0 { symbols[Int(after)].previous = Int32(truncatingIfNeeded: place) }
                let before = Int(symbols[place].previous)
                if before >= 0 {
                    let found = join(symbols[before], symbols[place])
                    if found.id >= 0 { CandidateHeap.push(&heap, MergeCandidate(rank: found.rank, place: before, id: found.id)) }
                }
                if after >= 0 {
                    let found = join(symbols[place], symbols[Int(after)])
                    if found.id >= 0 { CandidateHeap.push(&heap, MergeCandidate(rank: found.rank, place: place, id: found.id)) }
                }
            }
        }
    }
}

/// A binary heap, least `order` first.
enum CandidateHeap {
    static func build(_ heap: inout [MergeCandidate]) {
        heap.withUnsafeMutableBufferPointer { heap in
            var index = heap.count / 2 - 1
            while index >= 0 {
                sink(heap, index)
                index -= 1
            }
        }
    }

    @inline(__always) private static func sink(_ heap: UnsafeMutableBufferPointer<MergeCandidate>, _ start: Int) {
        let item = heap[start]
        var place = start
        while true {
            var child = 2 &* place &+ 1
            if child >= heap.count { break }
            if child &+ 1 < heap.count, heap[child &+ 1].order < heap[child].order { child &+= 1 }
            if heap[child].order >= item.order { break }
            heap[place] = heap[child]
            place = child
        }
        heap[place] = item
    }

    @inline(__always) static func push(_ heap: inout [MergeCandidate], _ item: MergeCandidate) {
        heap.append(item)
        heap.withUnsafeMutableBufferPointer { heap in
            var place = heap.count &- 1
            while place > 0 {
                let parent = (place &- 1) / 2
                if heap[parent].order <= item.order { break }
                heap[place] = heap[parent]
                place = parent
            }
            heap[place] = item
        }
    }

    @inline(__always) static func pop(_ heap: inout [MergeCandidate]) -> MergeCandidate? {
        guard let last = heap.popLast() else { return nil }
        guard let top = heap.first else { return last }
        heap[0] = last
        heap.withUnsafeMutableBufferPointer { sink($0, 0) }
        return top
    }
}
