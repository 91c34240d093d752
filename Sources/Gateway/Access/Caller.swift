package import Jobs

/// Who sent a request, as far as its key says.
package struct Caller: Sendable, Equatable {
    package let key: AccessKey
    /// Set where the key is one worker's own: it may speak for this worker only.
    package let worker: WorkerID?

    package init(key: AccessKey, worker: WorkerID? = nil) {
        self.key = key
        self.worker = worker
    }

    /// Whether the caller may submit, read and cancel jobs of an endpoint.
    package func mayUse(_ endpoint: EndpointID) -> Bool { key.role != .worker && key.opens(endpoint) }

    /// Whether the caller may take jobs of an endpoint and post their results under a worker's name.
    /// - Parameter hasOwnKey: whether that worker was given a key of its own (`WorkerRecord.secretHash`); then no other will do.
    package func mayWork(as worker: WorkerID, on endpoint: EndpointID, hasOwnKey: Bool) -> Bool {
        guard key.role == .worker, key.opens(endpoint) else { return false }
        return if let own = self.worker { own == worker } else { !hasOwnKey }
    }

    /// Whether the caller may change endpoints and keys. A key that is bound to some endpoints may not: definitions start programs.
    package var mayAdminister: Bool { key.role == .admin && key.endpoints == nil }
}
