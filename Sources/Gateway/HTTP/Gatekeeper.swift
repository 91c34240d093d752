internal import Jobs
internal import Synchronization

/// Who may do what, and how often.
final class Gatekeeper: Sendable {
    let keys: KeyRing
    let limiter: RateLimiter
    /// What callers without a key may be; nothing before the first `setOpen`.
    private let openRoles = Mutex<Set<AccessKey.Role>>([])

    init(keys: KeyRing, limits: RateLimits) {
        self.keys = keys
        limiter = RateLimiter(limits)
    }

    func setOpen(_ roles: Set<AccessKey.Role>) { openRoles.withLock { $0 = roles } }

    /// - role: what a caller without a key wants to be.
    func caller(_ call: GatewayCall, as role: AccessKey.Role = .client) throws(ClientError) -> Caller {
        if let caller = keys.authenticate(call.authorization) { return caller }
        guard openRoles.withLock({ $0.contains(role) }) else { throw .unauthorized }
        guard call.isLocal else {
            throw ClientError(
                status: 403,
                message: "without a key this gateway answers this machine only: send the request to localhost, 127.0.0.1 or [::1] and from no other web site, "
                    + "or configure a key and send it (needletail gateway-key NAME makes one)")
        }
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
