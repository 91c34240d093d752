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
        case .ray: return .individual(try RayProvider(endpoint.provider, stopGraceSeconds: endpoint.stopGraceSeconds))
        case .kubernetes: return .fleet(try KubernetesProvider(endpoint.provider))
        }
    }
}
