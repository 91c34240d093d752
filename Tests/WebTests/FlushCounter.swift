import NIOCore

/// Counts the flushes that get to it.
final class FlushCounter<Part: Sendable>: ChannelOutboundHandler {
    typealias OutboundIn = Part
    typealias OutboundOut = Part
    private(set) var count = 0

    func flush(context: ChannelHandlerContext) {
        count += 1
        context.flush()
    }
}
