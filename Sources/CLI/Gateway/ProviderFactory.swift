import Gateway
import Jobs
import Providers

/// Makes what starts an endpoint's workers.
struct ProviderFactory: Sendable {
    let processes: ProcessProvider

    func make(_ endpoint: EndpointDefinition) throws -> EndpointProvider {
        switch endpoint.provider.kind {
        case .process: return .individual(processes)
        case .none: return .none
        case .ray, .kubernetes: throw DefinitionError("the provider '\(endpoint.provider.kind.rawValue)' is not wired up")
        }
    }
}
