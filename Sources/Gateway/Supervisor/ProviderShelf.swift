internal import JSON
package import Jobs
package import Providers
internal import Synchronization

/// What starts an endpoint's workers.
package enum EndpointProvider: Sendable {
    case individual(any WorkerProvider)
    case fleet(any FleetProvider)
    /// Workers come by themselves.
    case none

    func close() async {
        switch self {
        case .individual(let provider): await provider.close()
        case .fleet(let provider): await provider.close()
        case .none: break
        }
    }
}

/// Workers of an endpoint that were started with the same definition, and so by the same provider.
struct WorkerGroup: Hashable, Sendable {
    let endpoint: EndpointID
    /// `EndpointDefinition.version`.
    let version: String

    init(_ endpoint: EndpointDefinition) { (self.endpoint, version) = (endpoint.id, endpoint.version) }
    init(_ worker: WorkerRecord) { (endpoint, version) = (worker.endpoint, worker.version) }
}

/// The providers of all definitions that matter: those in force, and former ones by which workers were started that are still there. Each is made
/// when first needed.
package final class ProviderShelf: Sendable {
    package typealias Make = @Sendable (EndpointDefinition) throws -> EndpointProvider

    private let make: Make
    private let made = Mutex<[WorkerGroup: EndpointProvider]>([:])

    package init(_ make: @escaping Make) { self.make = make }

    func provider(_ endpoint: EndpointDefinition) async throws -> EndpointProvider {
        let group = WorkerGroup(endpoint)
        if let known = made.withLock({ $0[group] }) { return known }
        let provider = try make(endpoint)
        let winner = made.withLock { made in
            defer { made[group] = made[group] ?? provider }
            return made[group]
        }
        guard let winner else { return provider }
        // Somebody else was making it.
        await provider.close()
        return winner
    }

    /// What started these workers, whatever the endpoint's definition says now: their version is the text of the one they were started with.
    /// - Parameter current: the definition in force, nil where the endpoint was removed. It stands in for a text that cannot be read any more.
    func starter(of group: WorkerGroup, current: EndpointDefinition?) async throws -> (provider: any WorkerProvider, definition: EndpointDefinition) {
        var definition = current
        if current?.version != group.version, var former = try? EndpointDefinition(group.endpoint, JSONValue(parsing: group.version)) {
            former.version = group.version
            definition = former
        }
        guard let definition, case .individual(let provider) = try await provider(definition) else {
            throw ProviderError("the definition that the worker was started with cannot be read, or starts no single workers")
        }
        return (provider, definition)
    }

    var count: Int { made.withLock { $0.count } }

    /// Closes the providers of all others.
    func keep(_ needed: Set<WorkerGroup>) {
        let others = made.withLock { made in
            let others = made.filter { !needed.contains($0.key) }
            for group in others.keys { made[group] = nil }
            return others.values
        }
        for provider in others { Task { await provider.close() } }
    }
}
