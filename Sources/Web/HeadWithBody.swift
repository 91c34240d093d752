internal import HTTPTypes
package import NIOCore
package import NIOHTTPTypes

/// Lets a response's head leave with what follows it in the same turn of the event loop, in one packet that wakes the client once: the server writes and
/// flushes them one by one. A head that nothing follows leaves at the end of the turn.
package final class HeadWithBody: ChannelOutboundHandler, RemovableChannelHandler {
    package typealias OutboundIn = HTTPResponsePart
    package typealias OutboundOut = HTTPResponsePart

    private var endsWithHead = false
    private var isHolding = false

    package init() {}

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .head(let head) = unwrapOutboundIn(data) { endsWithHead = head.status.kind != .informational } else { endsWithHead = false }
        context.write(data, promise: promise)
    }

    package func flush(context: ChannelHandlerContext) {
        guard endsWithHead, !isHolding else {
            isHolding = false
            return context.flush()
        }
        isHolding = true
        context.eventLoop.assumeIsolated().execute { self.flushHeld(context) }
    }

    package func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        flushHeld(context)
        context.close(mode: mode, promise: promise)
    }

    private func flushHeld(_ context: ChannelHandlerContext) {
        guard isHolding else { return }
        isHolding = false
        context.flush()
    }
}
