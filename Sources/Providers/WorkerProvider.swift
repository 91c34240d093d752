package import Jobs

/// Starts and stops workers one by one: processes, jobs of a Ray cluster.
///
/// A provider keeps no list of its own that matters: after the gateway's death the handles in the store are all there is, and `states` must
/// find the workers again by them.
package protocol WorkerProvider: Sendable {
    /// Orders a worker. Returns as soon as the order is placed; the worker need not run yet.
    /// - Returns: the handle, to be kept in the store.
    func start(_ order: WorkerOrder) async throws(ProviderError) -> String
    /// Asks the worker to end (SIGTERM), and ends it and all its processes (SIGKILL) if it has not within `graceSeconds`. Returns at once.
    func stop(_ handle: String, graceSeconds: Int) async
    /// What has become of workers; every handle gets an answer. May be asked several times a second.
    func states(_ handles: [String]) async -> [String: ProviderState]
    /// The last lines that the worker wrote, at most `lines`; nil where they cannot be had.
    func lastOutput(_ handle: String, lines: Int) async -> String?
    /// Forgets what is kept about an ended worker (log files beyond the newest, a finished submission).
    func forget(_ handle: String) async
    /// Lets go of connections; nothing is asked of it afterwards.
    func close() async
}

extension WorkerProvider {
    package func close() async {}
}

/// Sets how many workers run and leaves it to the platform which: replicas of a Deployment. Workers make themselves known by their first take.
package protocol FleetProvider: Sendable {
    /// - Returns: how many were wanted before.
    @discardableResult
    func scale(to count: Int) async throws(ProviderError) -> Int
    /// How many the platform wants now and has ready, and why it cannot have more.
    func fleet() async throws(ProviderError) -> FleetState
    /// Tells the platform which workers to end first when it is scaled down: those that cost least. Workers that it does not know are passed over.
    func rank(_ costs: [WorkerID: Int]) async
    /// Lets go of connections; nothing is asked of it afterwards.
    func close() async
}

package struct FleetState: Sendable, Equatable {
    package var wanted: Int
    package var ready: Int
    /// Such as "Unschedulable: 0/3 nodes have nvidia.com/gpu".
    package var reason: String?

    package init(wanted: Int, ready: Int, reason: String? = nil) {
        self.wanted = wanted
        self.ready = ready
        self.reason = reason
    }
}

/// What to start.
package struct WorkerOrder: Sendable {
    package var worker: WorkerID
    package var endpoint: EndpointID
    /// Program and arguments; never empty.
    package var command: [String]
    /// The worker's whole environment beyond the provider's own minimum (PATH, HOME): protocol variables and those of the definition.
    package var environment: [(name: String, value: String)]
    package var definition: ProviderDefinition

    package init(
        worker: WorkerID, endpoint: EndpointID, command: [String], environment: [(name: String, value: String)], definition: ProviderDefinition
    ) {
        self.worker = worker
        self.endpoint = endpoint
        self.command = command
        self.environment = environment
        self.definition = definition
    }
}

package enum ProviderState: Sendable, Equatable {
    /// Ordered, waits for room.
    case pending(reason: String)
    case running
    /// Over. `reason` is for people: "exit code 1", "killed by signal 9".
    case ended(reason: String, succeeded: Bool)
    /// The platform could not be asked; nothing is known.
    case unknown(reason: String)
    /// The platform knows no such worker: it is over.
    case missing
}

package struct ProviderError: Error, Sendable, Equatable, CustomStringConvertible {
    /// No room just now (`throttled`), rather than a wrong order.
    package var isCapacity: Bool
    package var description: String

    package init(_ description: String, isCapacity: Bool = false) {
        self.description = description
        self.isCapacity = isCapacity
    }
}
