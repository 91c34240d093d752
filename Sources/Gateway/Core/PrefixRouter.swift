internal import Jobs

/// Sends requests that share a long prefix to the worker whose KV cache has it, within a load bound.
///
/// The gateway does not tokenize: a prompt's leading text is hashed in blocks of bytes, each hash taking in the one before, and for each worker
/// the hashes of what it was given last are remembered. (SGLang's cache-aware routing keeps a radix tree of texts; chained hashes give the same answer
/// at block granularity.)
enum PrefixRouter {
    /// A worker that could take the job now.
    struct Candidate {
        var worker: WorkerID
        /// Jobs that it has.
        var load: Int
        /// Blocks of the job's prefix that it was given before.
        var matched: Int
        /// Order of arrival, to break ties.
        var place: Int
    }

    /// A match counts only on a worker that has at most this many jobs more than the least busy one, and an eighth.
    static let loadSlack = 2

    static func choose(_ candidates: [Candidate]) -> Candidate? {
        guard let least = candidates.map(\.load).min() else { return nil }
        let bound = least + max(loadSlack, least / 8)
        return candidates.min { a, b in
            let (aMatch, bMatch) = (a.load <= bound ? a.matched : 0, b.load <= bound ? b.matched : 0)
            return (-aMatch, a.load, a.place) < (-bMatch, b.load, b.place)
        }
    }
}

/// Hashes of the prompts that a worker was given, the oldest forgotten first.
package struct SeenPrefixes: Sendable {
    static let limit = 4096
    private var stamps: [UInt64: UInt64] = [:]
    private var clock: UInt64 = 0

    /// Blocks from the start that are known.
    func matched(_ prefix: [UInt64]) -> Int { prefix.firstIndex { stamps[$0] == nil } ?? prefix.count }

    mutating func add(_ prefix: [UInt64]) {
        clock += 1
        for hash in prefix { stamps[hash] = clock }
        guard stamps.count > Self.limit else { return }
        // Half of them go at once, so that this is rare.
        let middle = stamps.values.sorted()[stamps.count / 2]
        stamps = stamps.filter { $0.value > middle }
    }
}
