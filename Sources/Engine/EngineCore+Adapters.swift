internal import Step

/// Adapters that the runner knows: how many requests use each, and which go once none does.
struct AdapterUse {
    /// Requests in the scheduler, by adapter.
    private var requests: [Int32: Int] = [:]
    private var isLeaving: Set<Int32> = []

    mutating func begin(_ adapter: Int32?) {
        if let adapter { requests[adapter, default: 0] += 1 }
    }

    /// - Returns: whether the adapter is to be removed now.
    mutating func end(_ adapter: Int32?) -> Bool {
        guard let adapter, let count = requests[adapter] else { return false }
        requests[adapter] = count > 1 ? count - 1 : nil
        return count == 1 && isLeaving.remove(adapter) != nil
    }

    /// - Returns: whether the adapter is to be removed now, as nothing uses it.
    mutating func leave(_ adapter: Int32) -> Bool {
        if requests[adapter] == nil { return true }
        isLeaving.insert(adapter)
        return false
    }
}

extension EngineCore {
    /// Between two steps.
    func install(_ loads: [Inbox.AdapterLoad]) {
        for load in loads {
            do {
                try runner.install(load.adapter, as: load.id)
                inbox.withLock { _ = $0.adapters.insert(load.id) }
                load.done.resume(returning: .success(()))
            } catch {
                load.done.resume(returning: .failure(.refused(String(describing: error))))
            }
        }
    }

    mutating func unload(_ adapters: [Int32]) {
        for adapter in adapters where adapterUse.leave(adapter) { runner.removeAdapter(adapter) }
    }

    /// A request with this adapter has ended.
    mutating func endUse(of adapter: Int32?) {
        if adapterUse.end(adapter), let adapter { runner.removeAdapter(adapter) }
    }
}
