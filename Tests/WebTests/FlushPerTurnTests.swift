import NIOCore
import NIOEmbedded
import Testing
import Web

@Suite struct FlushPerTurnTests {
    @Test func flushesOfOneTurnAreOne() throws {
        let flushes = FlushCounter<ByteBuffer>()
        let channel = EmbeddedChannel(handlers: [flushes, FlushPerTurn()])
        for part in ["head", "body", "end"] { channel.writeAndFlush(ByteBuffer(string: part), promise: nil) }
        #expect(flushes.count == 0)
        #expect(try channel.readOutbound(as: ByteBuffer.self) == nil)
        channel.embeddedEventLoop.run()
        #expect(flushes.count == 1)
        for part in ["head", "body", "end"] { #expect(try channel.readOutbound(as: ByteBuffer.self) == ByteBuffer(string: part)) }
        channel.writeAndFlush(ByteBuffer(string: "next"), promise: nil)
        channel.embeddedEventLoop.run()
        #expect(flushes.count == 2)
        _ = try channel.finish()
    }

    @Test func whatWasFlushedLeavesBeforeTheConnectionCloses() throws {
        let channel = EmbeddedChannel(handler: FlushPerTurn())
        channel.writeAndFlush(ByteBuffer(string: "last"), promise: nil)
        channel.close(promise: nil)
        #expect(try channel.readOutbound(as: ByteBuffer.self) == ByteBuffer(string: "last"))
        channel.embeddedEventLoop.run()
    }
}
