internal import Jobs
internal import Synchronization

/// One thing that the supervisor does again and again, each in a task of its own: a platform that does not answer delays its own endpoint only.
enum SupervisorRound: Sendable {
    /// An endpoint and the workers started with its present definition.
    case endpoint(EndpointDefinition)
    /// Workers started with a definition that is no longer in force.
    case former(WorkerGroup)
    /// What is left of an endpoint that is no longer defined.
    case removed(EndpointID)

    enum Claim: Hashable, Sendable {
        case endpoint(EndpointID)
        case workers(WorkerGroup)
        case stops(WorkerGroup)
        case endedJobs
    }

    /// Its workers that a provider knows.
    var workers: WorkerGroup? {
        switch self {
        case .endpoint(let endpoint): WorkerGroup(endpoint)
        case .former(let group): group
        case .removed: nil
        }
    }

    /// What no other task may look after meanwhile.
    var claims: [Claim] {
        switch self {
        case .endpoint(let endpoint): [.endpoint(endpoint.id), .workers(WorkerGroup(endpoint))]
        case .former(let group): [.workers(group)]
        case .removed(let endpoint): [.endpoint(endpoint)]
        }
    }
}

/// What is being looked after at the moment.
final class ClaimBook: Sendable {
    private struct State {
        var taken: Set<SupervisorRound.Claim> = []
        var missed: Set<SupervisorRound.Claim> = []
    }

    private let state = Mutex(State())

    /// - Returns: false where somebody has one of them; `end` tells them.
    func begin(_ claims: [SupervisorRound.Claim]) -> Bool {
        state.withLock { state in
            guard state.taken.isDisjoint(with: claims) else {
                state.missed.formUnion(claims)
                return false
            }
            state.taken.formUnion(claims)
            return true
        }
    }

    /// - Returns: whether somebody wanted them meanwhile.
    func end(_ claims: [SupervisorRound.Claim]) -> Bool {
        state.withLock { state in
            defer { state.missed.subtract(claims) }
            state.taken.subtract(claims)
            return !state.missed.isDisjoint(with: claims)
        }
    }

    var taken: Set<SupervisorRound.Claim> { state.withLock { $0.taken } }
}
