internal import Jobs
internal import Synchronization

/// What happens in the gateway, for whoever counts, plots or scales. Called often, from any thread: must return at once.
final class GatewaySignals: Sendable {
    /// What the supervisor does when demand or supply has changed.
    let demand = Mailbox<EndpointID>()

    /// Makes the supervisor look at once.
    func wake() { demand.put(EndpointID("")) }

    /// Reads definitions and keys again; set once the gateway is wired up.
    let reloader = Mutex<(@Sendable () async -> String?)?>(nil)

    /// - Returns: what is wrong with the configuration, if something is: it stays as it was then.
    @discardableResult
    func reload() async -> String? { await reloader.withLock { $0 }?() }

    func submitted(_ job: Job) { demand.put(job.endpoint) }
    func taken(_ job: Job, at now: Timestamp) {}
    func lost(_ job: Job, _ reason: String) { demand.put(job.endpoint) }
    func ended(_ job: Job) { demand.put(job.endpoint) }
    func ready(_ worker: WorkerID) {}
    func relayed(_ chunks: Int) {}
    func stored(_ chunks: Int) {}
}
