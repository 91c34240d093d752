package import Jobs

extension AccessKey.Role {
    /// What a caller without a key may be: nothing beyond loopback, and nothing once there is a client key. On loopback without one, jobs may be
    /// submitted by anybody; a worker key keeps others from taking them, an admin key from changing endpoints, which start programs.
    /// - keys: all that are known, of the file and of the store.
    package static func open(_ keys: [AccessKey], isLoopback: Bool) -> Set<Self> {
        let roles = Set(keys.map(\.role))
        guard isLoopback, !roles.contains(.client) else { return [] }
        return Set(allCases).subtracting(roles)
    }
}
