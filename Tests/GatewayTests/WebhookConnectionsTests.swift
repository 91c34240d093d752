import Gateway
import NIOHTTP1
import NIOSSL
import Synchronization
import Testing

@Suite struct WebhookConnectionsTests {
    private func resolver(_ answers: [[String]]) -> (HostResolver, CallCount) {
        let calls = CallCount()
        let resolver = HostResolver { _ in
            let call = calls.next()
            return answers[min(call, answers.count - 1)].compactMap { IPAddress($0) }
        }
        return (resolver, calls)
    }

    private func post(
        _ connections: WebhookConnections, _ url: String, allowsPrivate: Bool = true, timeout: Duration = .seconds(10)
    ) async throws -> Int {
        let target = try WebhookTarget.check(url: url, allowsPrivate: allowsPrivate)
        return try await connections.post(Array("{}".utf8), to: target, headers: [("User-Agent", "test")], allowsPrivate: allowsPrivate, timeout: timeout)
    }

    @Test func nameIsLookedUpOnceAndItsAddressUsed() async throws {
        let receiver = try await WebhookReceiver()
        // A second look-up would lead nowhere.
        let (resolver, calls) = resolver([["127.0.0.1"], []])
        let connections = WebhookConnections(resolver: resolver)
        #expect(try await post(connections, "http://hooks.test:\(receiver.port)/a?b=c") == 200)
        #expect(calls.count == 1)
        let got = try #require(receiver.posts.first)
        #expect(got.method == .POST && got.uri == "/a?b=c" && got.body == Array("{}".utf8))
        #expect(got.headers["host"] == ["hooks.test:\(receiver.port)"])
        #expect(got.headers["user-agent"] == ["test"])
        await connections.close()
        try await receiver.close()
    }

    @Test func rebindingIsRefused() async throws {
        let receiver = try await WebhookReceiver()
        let (resolver, _) = resolver([["8.8.8.8"], ["127.0.0.1"]])
        let connections = WebhookConnections(resolver: resolver)
        // The check when the job came in saw a public address; by the time of the connection the name leads to loopback.
        #expect(try await resolver.addresses("hooks.test").first?.refusal(allowsPrivate: false) == nil)
        await #expect(throws: WebhookRefusal.self) { try await post(connections, "http://hooks.test:\(receiver.port)/", allowsPrivate: false) }
        #expect(receiver.connectionCount == 0)
        await connections.close()
        try await receiver.close()
    }

    @Test func firstAllowedAddressIsTaken() async throws {
        let receiver = try await WebhookReceiver()
        let (resolver, _) = resolver([["169.254.169.254", "127.0.0.1"]])
        let connections = WebhookConnections(resolver: resolver)
        #expect(try await post(connections, "http://hooks.test:\(receiver.port)/") == 200)
        await connections.close()
        try await receiver.close()
    }

    @Test func namesWithoutAddressFail() async throws {
        let (resolver, _) = resolver([[]])
        let connections = WebhookConnections(resolver: resolver)
        await #expect(throws: WebhookFailure.self) { try await post(connections, "http://hooks.test/") }
        await connections.close()
    }

    @Test func systemResolverKnowsLocalhost() async throws {
        let found = try await HostResolver.system().addresses("localhost")
        #expect(found.contains { $0.refusal(allowsPrivate: false) == "a loopback address" })
        #expect(try await HostResolver.system().addresses("no-such-host.invalid").isEmpty)
    }

    @Test func redirectsAreNotFollowed() async throws {
        let other = try await WebhookReceiver()
        let receiver = try await WebhookReceiver { _ in .init(status: 307, headers: [("Location", "http://127.0.0.1:\(other.port)/secret")]) }
        let connections = WebhookConnections(resolver: .system())
        #expect(try await post(connections, "http://127.0.0.1:\(receiver.port)/") == 307)
        #expect(other.connectionCount == 0)
        await connections.close()
        try await receiver.close()
        try await other.close()
    }

    @Test func certificateIsCheckedAgainstTheName() async throws {
        let receiver = try await WebhookReceiver(tls: true)
        let (resolver, _) = resolver([["127.0.0.1"]])
        let trusting = WebhookConnections(resolver: resolver, tls: try WebhookReceiver.trust())
        #expect(try await post(trusting, "https://hooks.test:\(receiver.port)/") == 200)
        await #expect(throws: (any Error).self) { try await post(trusting, "https://other.test:\(receiver.port)/") }
        await #expect(throws: (any Error).self) { try await post(trusting, "https://127.0.0.1:\(receiver.port)/") }
        let usual = WebhookConnections(resolver: resolver)
        await #expect(throws: (any Error).self) { try await post(usual, "https://hooks.test:\(receiver.port)/") }
        #expect(receiver.posts.count == 1)
        await trusting.close()
        await usual.close()
        try await receiver.close()
    }

    @Test func connectionsAreUsedAgainAndIdleOnesBounded() async throws {
        let receiver = try await WebhookReceiver { _ in .init(body: "thanks") }
        let (resolver, _) = resolver([["127.0.0.1"]])
        let connections = WebhookConnections(resolver: resolver, mostIdle: 2)
        for _ in 0..<5 { #expect(try await post(connections, "http://hooks.test:\(receiver.port)/") == 200) }
        #expect(receiver.connectionCount == 1)
        for host in 0..<10 { #expect(try await post(connections, "http://h\(host).test:\(receiver.port)/") == 200) }
        #expect(connections.count <= 2)
        await connections.close()
        #expect(connections.count == 0)
        try await receiver.close()
    }

    @Test func hugeAnswersAreCutOff() async throws {
        // Made before: the receiver answers on an event loop that other tests use, too.
        let huge = String(decoding: repeatElement(UInt8(ascii: "x"), count: 32 << 20), as: UTF8.self)
        let receiver = try await WebhookReceiver { _ in .init(body: huge) }
        let connections = WebhookConnections(resolver: .system())
        #expect(try await post(connections, "http://127.0.0.1:\(receiver.port)/") == 200)
        await connections.close()
        try await receiver.close()
    }

    @Test func silenceEndsWithTheTimeout() async throws {
        let receiver = try await WebhookReceiver { _ in .init(hangs: true) }
        let connections = WebhookConnections(resolver: .system())
        let start = ContinuousClock.now
        await #expect(throws: (any Error).self) { try await post(connections, "http://127.0.0.1:\(receiver.port)/", timeout: .seconds(3)) }
        #expect(ContinuousClock.now - start < .seconds(30))
        #expect(receiver.posts.count == 1)
        await connections.close()
        try await receiver.close()
    }
}

final class CallCount: Sendable {
    private let value = Mutex(0)
    var count: Int { value.withLock { $0 } }
    func next() -> Int {
        value.withLock { value in
            defer { value += 1 }
            return value
        }
    }
}
