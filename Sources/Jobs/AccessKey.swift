/// A key that opens something. Only its hash is kept: keys are long random texts, so one round of SHA-256 is enough.
package struct AccessKey: Sendable, Equatable {
    package enum Role: String, Sendable, CaseIterable {
        /// Submits jobs and reads them.
        case client
        /// Takes jobs.
        case worker
        /// Changes endpoints and keys, sees everything.
        case admin
    }

    package var name: String
    package var role: Role
    /// SHA-256, 32 bytes.
    package var hash: [UInt8]
    /// Nil is all.
    package var endpoints: Set<EndpointID>?
    /// Requests in 10 s over all operations; nil is no limit.
    package var requestsPer10Seconds: Int?
    package var createdAt: Timestamp

    package init(name: String, role: Role, hash: [UInt8], endpoints: Set<EndpointID>?, requestsPer10Seconds: Int? = nil, createdAt: Timestamp) {
        self.name = name
        self.role = role
        self.hash = hash
        self.endpoints = endpoints
        self.requestsPer10Seconds = requestsPer10Seconds
        self.createdAt = createdAt
    }

    package func opens(_ endpoint: EndpointID) -> Bool { endpoints?.contains(endpoint) ?? true }
}
