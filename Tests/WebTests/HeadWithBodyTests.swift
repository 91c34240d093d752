import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTPTypes
import Testing
import Web

@Suite struct HeadWithBodyTests {
    private let flushes = FlushCounter<HTTPResponsePart>()
    private let channel: EmbeddedChannel

    init() { channel = EmbeddedChannel(handlers: [flushes, HeadWithBody()]) }

    private func send(_ part: HTTPResponsePart) { channel.writeAndFlush(part, promise: nil) }
    private func leftSoFar() throws -> Int {
        var count = 0
        while try channel.readOutbound(as: HTTPResponsePart.self) != nil { count += 1 }
        return count
    }

    @Test func aHeadLeavesWithWhatFollows() throws {
        send(.head(HTTPResponse(status: .ok)))
        #expect(try leftSoFar() == 0)
        send(.body(ByteBuffer(string: "first")))
        #expect(try leftSoFar() == 2)
        #expect(flushes.count == 1)
        channel.embeddedEventLoop.run()
        #expect(flushes.count == 1)
        // Nothing else is held back.
        send(.body(ByteBuffer(string: "second")))
        send(.end(nil))
        #expect(try leftSoFar() == 2)
        #expect(flushes.count == 3)
        send(.head(HTTPResponse(status: .notFound)))
        send(.end(nil))
        #expect(try leftSoFar() == 2)
        #expect(flushes.count == 4)
    }

    @Test func aHeadAloneLeavesAtTheEndOfTheTurn() throws {
        send(.head(HTTPResponse(status: .ok)))
        #expect(try leftSoFar() == 0)
        channel.embeddedEventLoop.run()
        #expect(try leftSoFar() == 1)
        #expect(flushes.count == 1)
    }

    @Test func whatOnlyInformsLeavesAtOnce() throws {
        send(.head(HTTPResponse(status: .continue)))
        #expect(try leftSoFar() == 1)
    }

    @Test func aHeadLeavesBeforeTheConnectionCloses() throws {
        send(.head(HTTPResponse(status: .ok)))
        channel.close(promise: nil)
        #expect(try leftSoFar() == 1)
        channel.embeddedEventLoop.run()
    }
}
