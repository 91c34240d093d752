/// A worker as the gateway knows it, kept in the store so that a restarted gateway finds its workers again.
package struct WorkerRecord: Sendable, Equatable {
    package let id: WorkerID
    package let endpoint: EndpointID
    /// What the provider needs to find it again: a process's id and start time, a job submission's id, a pod's name. Nil: started by nobody we know.
    package var handle: String?
    package var state: WorkerState
    /// Why it is in this state, for people.
    package var reason: String?
    /// SHA-256 of the secret that it must show; nil: any worker key of its endpoint will do.
    package var secretHash: [UInt8]?
    /// Version of the endpoint's definition that it was started with; others are outdated.
    package var version: String
    package var startedAt: Timestamp
    /// First take; nil before.
    package var readyAt: Timestamp?
    /// Last sign of life: a take, ping or post.
    package var seenAt: Timestamp?
    package var stoppedAt: Timestamp?
    package var jobsDone = 0

    package init(id: WorkerID, endpoint: EndpointID, state: WorkerState, version: String, startedAt: Timestamp) {
        self.id = id
        self.endpoint = endpoint
        self.state = state
        self.version = version
        self.startedAt = startedAt
    }
}

package enum WorkerState: String, Sendable, CaseIterable {
    /// Ordered, no room for it yet.
    case throttled
    /// Starting, loading.
    case initializing
    /// Waits for jobs.
    case idle
    case running
    /// Takes no more jobs; stopped when those it has are over.
    case draining
    case stopped
    case unhealthy

    /// Whether a process may be there and costs something.
    package var isUp: Bool {
        switch self {
        case .initializing, .idle, .running, .draining: true
        case .throttled, .stopped, .unhealthy: false
        }
    }
}
