internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import Web

/// Handles each connection's requests on the connection's own event loop: a request that only looks something up, waits and passes bytes on wakes no
/// other thread on its way. What computes for longer has to leave (`GatewayResponder`).
struct LoopBoundChannel<Base: ServerChildChannel>: ServerChildChannel {
    let base: Base
    let executors: EventLoopExecutors

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Base.Value> { base.setup(channel: channel, logger: logger) }

    func handle(value: Base.Value, logger: Logger) async {
        await withTaskExecutorPreference(executors[value.channel.eventLoop]) { await base.handle(value: value, logger: logger) }
    }
}
