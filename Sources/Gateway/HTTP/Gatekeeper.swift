internal import Jobs
internal import Synchronization

/// Who may do what, and how often.
final class Gatekeeper: Sendable {
    let keys: KeyRing
    let limiter: RateLimiter
    private let isOpen: Mutex<Bool>

    /// - isOpen: nobody needs a key. Only where the gateway listens on loopback and no key is configured.
    init(keys: KeyRing, limits: RateLimits, isOpen: Bool) {
        self.keys = keys
        limiter = RateLimiter(limits)
        self.isOpen = Mutex(isOpen)
    }

    func setOpen(_ flag: Bool) { isOpen.withLock { $0 = flag } }

    /// - role: what an anonymous caller counts as, where nobody needs a key.
    func caller(_ call: GatewayCall, as role: AccessKey.Role = .client) -> Caller? {
        if let caller = keys.authenticate(call.authorization) { return caller }
        guard isOpen.withLock({ $0 }) else { return nil }
        return Caller(key: AccessKey(name: "anonymous", role: role, hash: [], endpoints: nil, createdAt: Timestamp(milliseconds: 0)))
    }

    /// - Returns: the request's place among those at work; hold it until the answer is written.
    func admit(_ caller: Caller, _ endpoint: EndpointID, _ operation: ClientOperation, workers: Int) throws(ClientError) -> RateTicket? {
        let limited: LimitedOperation
        switch operation {
        case .run, .retry: limited = .run
        case .runsync: limited = .runsync
        case .status, .health, .metrics: limited = .status
        case .statusSync: limited = .statusSync
        case .stream: limited = .stream
        case .cancel: limited = .cancel
        case .purgeQueue: limited = .purgeQueue
        case .requests: limited = .requests
        case .openAI: limited = .openai
        }
        do {
            return try limiter.admit(limited, endpoint, key: caller.key, workers: workers)
        } catch {
            throw .busy(error.description, retryAfter: error.retryAfterSeconds)
        }
    }
}
