package import Jobs
internal import Synchronization
internal import Web

/// All keys that open something here: those of the configuration, those made over the admin API, and each worker's own. Readers take a
/// snapshot; a reload replaces one source's keys as a whole.
package final class KeyRing: Sendable {
    /// Longest text that is looked at; anything beyond it is no key.
    package static let longestKeyInBytes = 512

    private struct Snapshot {
        var configured = KeyTable()
        var stored = KeyTable()
        var workers = KeyTable()
    }

    private let snapshot = Mutex(Snapshot())

    package init(configured: [AccessKey] = []) { replaceConfigured(configured) }

    package func replaceConfigured(_ keys: [AccessKey]) {
        let table = KeyTable(keys.map { Caller(key: $0) })
        snapshot.withLock { $0.configured = table }
    }

    package func replaceStored(_ keys: [AccessKey]) {
        let table = KeyTable(keys.map { Caller(key: $0) })
        snapshot.withLock { $0.stored = table }
    }

    /// Each worker's own key; workers without one are passed over.
    package func replaceWorkers(_ workers: [WorkerRecord]) {
        let table = KeyTable(workers.compactMap(Self.caller))
        snapshot.withLock { $0.workers = table }
    }

    /// A worker that was just ordered; must be called before it can start. Nothing is added for a worker without a key.
    package func add(_ worker: WorkerRecord) {
        guard let caller = Self.caller(worker) else { return }
        snapshot.withLock { $0.workers.add(caller) }
    }

    package func remove(_ worker: WorkerRecord) {
        guard let caller = Self.caller(worker) else { return }
        snapshot.withLock { $0.workers.remove(caller) }
    }

    /// Whether the configuration has a key of this name.
    package func isConfigured(_ name: String) -> Bool { snapshot.withLock { $0.configured }.hasName(name) }

    /// Whether a text is a key that opens something here; for keeping keys out of logs.
    package func isKey(_ text: String) -> Bool {
        guard text.utf8.count <= Self.longestKeyInBytes else { return false }
        return find(AccessKeyText.hash(of: text)) != nil
    }

    /// - Parameter authorization: value of an `Authorization` header: `Bearer <key>`, the scheme in any case, or the key alone.
    /// - Returns: nil where there is no such key.
    package func authenticate(_ authorization: String?) -> Caller? {
        guard let key = authorization.flatMap(Self.key) else { return nil }
        return find(AccessKeyText.hash(of: key))
    }

    private func find(_ hash: [UInt8]) -> Caller? {
        let now = snapshot.withLock { $0 }
        // All three are asked whatever the first says: the time tells nothing of where a key stands.
        let configured = now.configured.find(hash)
        let stored = now.stored.find(hash)
        let worker = now.workers.find(hash)
        return configured ?? stored ?? worker
    }

    /// The key in a header's value; nil where there is none or it is another scheme's.
    private static func key(in authorization: String) -> String? {
        guard authorization.utf8.count <= longestKeyInBytes + 16 else { return nil }
        let words = authorization.split(whereSeparator: { $0 == " " || $0 == "\t" })
        let key: Substring
        switch words.count {
        case 1 where words[0].lowercased() != "bearer": key = words[0]
        case 2 where words[0].lowercased() == "bearer": key = words[1]
        default: return nil
        }
        return key.utf8.count <= longestKeyInBytes ? String(key) : nil
    }

    private static func caller(_ worker: WorkerRecord) -> Caller? {
        guard let hash = worker.secretHash else { return nil }
        let key = AccessKey(name: "worker-\(worker.id)", role: .worker, hash: hash, endpoints: [worker.endpoint], createdAt: worker.startedAt)
        return Caller(key: key, worker: worker.id)
    }
}

/// Callers by the hash of their key. A randomly seeded digest of the hash picks the candidates, so that looking a key up takes the same time
/// for ten and for ten thousand workers and its time is no function of any stored hash; the candidates are compared in constant time, all of them.
private struct KeyTable: Sendable {
    private var callers: [Int: [Caller]] = [:]
    private static let noHash = [UInt8](repeating: 0, count: 32)

    init() {}

    init(_ list: [Caller]) {
        callers.reserveCapacity(list.count)
        for caller in list { add(caller) }
    }

    func hasName(_ name: String) -> Bool { callers.values.contains { $0.contains { $0.key.name == name } } }

    mutating func add(_ caller: Caller) {
        remove(caller)
        callers[Self.place(caller.key.hash), default: []].append(caller)
    }

    mutating func remove(_ caller: Caller) {
        let place = Self.place(caller.key.hash)
        callers[place]?.removeAll { $0.key.hash == caller.key.hash && $0.worker == caller.worker }
        if callers[place]?.isEmpty == true { callers[place] = nil }
    }

    func find(_ hash: [UInt8]) -> Caller? {
        guard let candidates = callers[Self.place(hash)] else {
            _ = ConstantTime.equal(Self.noHash, hash)
            return nil
        }
        var found: Caller?
        for candidate in candidates where ConstantTime.equal(candidate.key.hash, hash) { found = found ?? candidate }
        return found
    }

    /// SipHash under the process's random seed.
    private static func place(_ hash: [UInt8]) -> Int {
        var hasher = Hasher()
        hasher.combine(hash)
        return hasher.finalize()
    }
}
