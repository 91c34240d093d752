internal import HTTPTypes
package import NIOCore
package import NIOHTTPTypes

/// Sits between HTTP decoding and request handling on each connection: notices that the client is gone while a request is still being
/// worked on, ends connections that send or take nothing, and answers `Expect: 100-continue`.
package final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTPRequestPart
    package typealias InboundOut = HTTPRequestPart
    package typealias OutboundIn = HTTPResponsePart
    package typealias OutboundOut = HTTPResponsePart

    package let watch = ConnectionWatch()
    private let idleTimeout: TimeAmount
    private let bodyTimeout: TimeAmount
    private let maxBodyBytes: Int
    /// When a body that comes drop by drop has taken too long as a whole.
    private var bodyDeadline = NIODeadline.now()
    private var timer: Scheduled<Void>?
    /// Runs while the client does not read what is sent to it.
    private var writeTimer: Scheduled<Void>?
    /// Requests whose head came in and whose reply is not finished.
    private var open = 0

    /// - Parameters:
    ///   - idleTimeout: between requests, and of a client that does not read.
    ///   - bodyTimeout: of a client that sends nothing of a body that it announced; ten times that for the whole of it.
    package init(idleTimeout: TimeAmount, bodyTimeout: TimeAmount, maxBodyBytes: Int) {
        self.idleTimeout = idleTimeout
        self.bodyTimeout = bodyTimeout
        self.maxBodyBytes = maxBodyBytes
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { closeUnlessStopped(after: idleTimeout, context) }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        writeTimer?.cancel()
        watch.closed()
    }

    package func channelActive(context: ChannelHandlerContext) {
        closeUnlessStopped(after: idleTimeout, context)
        context.fireChannelActive()
    }

    package func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        writeTimer?.cancel()
        watch.closed()
        context.fireChannelInactive()
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // A client that shuts its sending side is taken as gone, as other servers do: there is no telling it from one that closed.
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { watch.closed() }
        context.fireUserInboundEventTriggered(event)
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            open += 1
            bodyDeadline = .now() + bodyTimeout * 10
            closeUnlessStopped(after: bodyTimeout, context)
            if head.headerFields[.expect]?.lowercased() == "100-continue",
                (head.headerFields[.contentLength].flatMap { Int($0) } ?? 0) <= maxBodyBytes
            {
                context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
            }
        case .body: closeUnlessStopped(after: min(bodyTimeout, max(.zero, bodyDeadline - .now())), context)
        case .end:
            if open > 0 { timer?.cancel() } else { closeUnlessStopped(after: idleTimeout, context) }
        }
        context.fireChannelRead(data)
    }

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) {
            open -= 1
            if open == 0 { closeUnlessStopped(after: idleTimeout, context) }
        }
        context.write(data, promise: promise)
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        writeTimer?.cancel()
        if !context.channel.isWritable {
            let channel = context.channel
            writeTimer = context.eventLoop.scheduleTask(in: idleTimeout) { channel.close(promise: nil) }
        }
        context.fireChannelWritabilityChanged()
    }

    private func closeUnlessStopped(after time: TimeAmount, _ context: ChannelHandlerContext) {
        timer?.cancel()
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: time) { channel.close(promise: nil) }
    }
}
