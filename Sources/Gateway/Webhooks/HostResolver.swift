internal import Glibc
package import NIOPosix

/// Finds the addresses of a host name.
package struct HostResolver: Sendable {
    /// Addresses in the order in which they are to be tried; empty where there are none.
    package let addresses: @Sendable (_ host: String) async throws -> [IPAddress]

    package init(_ addresses: @escaping @Sendable (_ host: String) async throws -> [IPAddress]) { self.addresses = addresses }

    /// The system's resolver (`getaddrinfo`), which blocks, on threads of this pool.
    package static func system(_ threads: NIOThreadPool = .singleton) -> HostResolver {
        HostResolver { host in try await threads.runIfActive { lookUp(host) } }
    }

    private static func lookUp(_ host: String) -> [IPAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &first) == 0 else { return [] }
        defer { freeaddrinfo(first) }
        var found: [IPAddress] = []
        var next = first
        while let entry = next?.pointee {
            next = entry.ai_next
            guard let socketAddress = entry.ai_addr else { continue }
            let bytes: [UInt8]? =
                switch entry.ai_family {
                case AF_INET: socketAddress.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { v4 in withUnsafeBytes(of: v4.pointee.sin_addr) { Array($0) } }
                case AF_INET6:
                    socketAddress.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { v6 in withUnsafeBytes(of: v6.pointee.sin6_addr) { Array($0) } }
                default: nil
                }
            if let address = bytes.flatMap(IPAddress.init(bytes:)), !found.contains(address) { found.append(address) }
        }
        return found
    }
}
