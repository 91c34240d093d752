internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1
package import NIOSSL
internal import Synchronization

/// Posts to webhook targets. A host name is looked up once a post, the address is checked, and the connection goes to that very address, whatever the
/// name stands for a moment later; `Host`, SNI and the certificate's check keep the name. Redirects are not followed, and proxies of the environment are not used.
///
/// Each pair of host and address has an HTTP client of its own (its `dnsOverride` is the pin), kept for the next post to the same receiver.
package final class WebhookConnections: Sendable {
    private struct Pin: Hashable {
        let host: String
        let address: IPAddress
    }

    private struct Entry {
        let client: HTTPClient
        var users = 0
        var lastUse: ContinuousClock.Instant
    }

    private let entries = Mutex<[Pin: Entry]>([:])
    private let resolver: HostResolver
    private let tls: TLSConfiguration
    /// Clients that nobody uses are kept up to this many.
    private let mostIdle: Int
    private static let longestBodyRead = 4096

    package init(resolver: HostResolver, tls: TLSConfiguration = .makeClientConfiguration(), mostIdle: Int = 32) {
        self.resolver = resolver
        self.tls = tls
        self.mostIdle = mostIdle
    }

    /// - Returns: the response's status.
    /// - Throws: `WebhookRefusal` where the target is not allowed, `WebhookFailure` where it cannot be reached in time.
    package func post(
        _ body: [UInt8], to target: WebhookTarget, headers: [(name: String, value: String)], allowsPrivate: Bool, timeout: Duration
    ) async throws -> Int {
        let clock = ContinuousClock()
        let deadline = clock.now + timeout
        let address: IPAddress = try await Self.within(deadline) { [self] in try await self.address(of: target, allowsPrivate) }
        var request = HTTPClientRequest(url: target.url)
        request.method = .POST
        for header in headers { request.headers.add(name: header.name, value: header.value) }
        request.headers.replaceOrAdd(name: "Host", value: Self.hostHeader(target))
        request.body = .bytes(ByteBuffer(bytes: body))
        return try await withClient(Pin(host: target.host, address: address)) { [request] client in
            let response = try await Self.within(deadline) {
                try await client.execute(request, deadline: .now() + .nanoseconds(Int64((deadline - clock.now) / .nanoseconds(1))))
            }
            await Self.drain(response)
            return Int(response.status.code)
        }
    }

    /// Receivers with connections that are kept, in use or not.
    package var count: Int { entries.withLock { $0.count } }

    /// Closes all connections; call when no post is at work.
    package func close() async {
        let all = entries.withLock { entries in
            defer { entries = [:] }
            return entries.values.map(\.client)
        }
        for client in all { try? await client.shutdown() }
    }

    private func address(of target: WebhookTarget, _ allowsPrivate: Bool) async throws -> IPAddress {
        let found: [IPAddress]
        if let address = target.address { found = [address] } else { found = try await resolver.addresses(target.host) }
        guard let first = found.first else { throw WebhookFailure("the host name cannot be resolved") }
        if let allowed = found.first(where: { $0.refusal(allowsPrivate: allowsPrivate) == nil }) { return allowed }
        throw WebhookRefusal("'\(target.host)' leads to \(first), \(first.refusal(allowsPrivate: allowsPrivate) ?? "")")
    }

    /// Reads a short answer so that the connection can be used again; a long or slow one is cut off.
    private static func drain(_ response: HTTPClientResponse) async {
        _ = try? await within(ContinuousClock.now + .seconds(1)) {
            var count = 0
            for try await part in response.body {
                count += part.readableBytes
                guard count <= longestBodyRead else { return }
            }
        }
    }

    /// Without the port where it is the usual one, as browsers write it.
    private static func hostHeader(_ target: WebhookTarget) -> String {
        let name = target.address?.isV6 == true ? "[\(target.host)]" : target.host
        return target.port == (target.isEncrypted ? 443 : 80) ? name : "\(name):\(target.port)"
    }

    private static func within<Value: Sendable>(_ deadline: ContinuousClock.Instant, _ work: @escaping @Sendable () async throws -> Value) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await work() }
            group.addTask {
                try await Task.sleep(until: deadline, clock: .continuous)
                return nil
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() ?? nil else { throw WebhookFailure("no answer in time") }
            return value
        }
    }
}

/// Why a post came to nothing; trying again may help.
package struct WebhookFailure: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

extension WebhookConnections {
    private func withClient<Value: Sendable>(_ pin: Pin, _ work: (HTTPClient) async throws -> Value) async throws -> Value {
        let client = take(pin)
        do {
            let value = try await work(client)
            await giveBack(pin)
            return value
        } catch {
            await giveBack(pin)
            throw error
        }
    }

    private func take(_ pin: Pin) -> HTTPClient {
        entries.withLock { entries in
            if entries[pin] == nil { entries[pin] = Entry(client: makeClient(pin), lastUse: .now) }
            entries[pin]?.users += 1
            return entries[pin]?.client ?? makeClient(pin)
        }
    }

    private func giveBack(_ pin: Pin) async {
        let surplus: HTTPClient? = entries.withLock { entries in
            entries[pin]?.users -= 1
            entries[pin]?.lastUse = .now
            let idle = entries.filter { $0.value.users == 0 }
            guard idle.count > mostIdle, let oldest = idle.min(by: { $0.value.lastUse < $1.value.lastUse }) else { return nil }
            entries[oldest.key] = nil
            return oldest.value.client
        }
        try? await surplus?.shutdown()
    }

    private func makeClient(_ pin: Pin) -> HTTPClient {
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls, redirectConfiguration: .disallow)
        configuration.httpVersion = .http1Only
        configuration.connectionPool.idleTimeout = .seconds(20)
        configuration.connectionPool.retryConnectionEstablishment = false
        if IPAddress(pin.host) == nil { configuration.dnsOverride = [pin.host: pin.address.description] }
        // A second lock on the same door: should the client ever connect elsewhere, nothing is sent there.
        configuration.http1_1ConnectionDebugInitializer = { channel in
            guard let remote = channel.remoteAddress?.ipAddress, IPAddress(remote) == pin.address else {
                return channel.close().flatMapThrowing { throw WebhookFailure("the connection went to another address") }
            }
            return channel.eventLoop.makeSucceededVoidFuture()
        }
        return HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
    }
}
