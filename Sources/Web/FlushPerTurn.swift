package import NIOCore

/// Gathers the flushes of one turn of the event loop into one, so that a request's head and body leave in one packet and wake the server once.
/// AsyncHTTPClient flushes them one by one.
package final class FlushPerTurn: ChannelOutboundHandler {
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private var isScheduled = false

    package init() {}

    package func flush(context: ChannelHandlerContext) {
        if isScheduled { return }
        isScheduled = true
        context.eventLoop.assumeIsolated().execute { self.flushNow(context) }
    }

    package func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        flushNow(context)
        context.close(mode: mode, promise: promise)
    }

    private func flushNow(_ context: ChannelHandlerContext) {
        guard isScheduled else { return }
        isScheduled = false
        context.flush()
    }
}
