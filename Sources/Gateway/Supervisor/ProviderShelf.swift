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

/// The provider of each endpoint, made when first needed and again when the definition changes.
final class ProviderShelf: Sendable {
    typealias Make = @Sendable (EndpointDefinition) throws -> EndpointProvider

    private let make: Make
    private let made = Mutex<[EndpointID: (version: String, provider: EndpointProvider)]>([:])

    init(_ make: @escaping Make) { self.make = make }

    func provider(_ endpoint: EndpointDefinition) throws -> EndpointProvider {
        if let known = made.withLock({ $0[endpoint.id] }), known.version == endpoint.version { return known.provider }
        let provider = try make(endpoint)
        let former = made.withLock { made in
            defer { made[endpoint.id] = (endpoint.version, provider) }
            return made[endpoint.id]
        }
        if let former { Task { await former.provider.close() } }
        return provider
    }
}
