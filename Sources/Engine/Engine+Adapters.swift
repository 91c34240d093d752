package import Step

/// Why an adapter could not be loaded.
package enum AdapterError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The runner's own words.
    case refused(String)
    case notAccepting

    package var description: String {
        switch self {
        case .refused(let reason): reason
        case .notAccepting: "the engine is shutting down and takes no more adapters"
        }
    }
}

extension Engine {
    /// Hands an adapter to the runner between two steps.
    /// - Returns: its number for `EngineRequest.loraID`, never used again for another one.
    package func load(_ adapter: any StepAdapter) async throws(AdapterError) -> Int32 {
        var id: Int32 = 0
        let result: Result<Void, AdapterError> = await withCheckedContinuation { continuation in
            let isRefused = inbox.post { inbox in
                guard !inbox.hasStopped, !inbox.isStopping, inbox.nextAdapterID < .max else { return true }
                id = inbox.nextAdapterID
                inbox.nextAdapterID += 1
                inbox.adapterLoads.append(Inbox.AdapterLoad(id: id, adapter: adapter, done: continuation))
                return false
            }
            if isRefused { continuation.resume(returning: .failure(.notAccepting)) }
        }
        try result.get()
        return id
    }

    /// Refuses new requests for the adapter at once; those accepted before finish with it, and then its memory is given back.
    package func unload(_ adapter: Int32) {
        inbox.post { inbox in
            if inbox.adapters.remove(adapter) != nil { inbox.adapterUnloads.append(adapter) }
        }
    }
}
