internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
package import Logging
internal import NIOCore
internal import NIOHTTPTypes
internal import NIOPosix
internal import ServiceLifecycle
internal import UnixSignals
internal import Web

/// The HTTP server in front of one model.
///
/// ```swift
/// let server = APIServer(model: model, options: options, logger: logger)
/// try await server.run()          // until SIGTERM or SIGINT, then drains
/// await engine.shutdown()
/// ```
package struct APIServer: Sendable {
    private let model: ServedModel
    private let options: ServerOptions
    private let logger: Logger
    private let stats = ServerStats()

    package init(model: ServedModel, options: ServerOptions, logger: Logger) {
        self.model = model
        self.options = options
        self.logger = logger
    }

    /// Serves until a signal or the task's cancellation, then stops accepting, lets running requests finish within the shutdown timeout,
    /// aborts the rest and returns.
    /// - Parameters:
    ///   - handlesSignals: SIGTERM and SIGINT start the shutdown.
    ///   - stop: starts the shutdown when it returns.
    ///   - onListening: called once with the port in use (0 for a Unix socket).
    package func run(
        handlesSignals: Bool = true, stop: (@Sendable () async -> Void)? = nil,
        onListening: @escaping @Sendable (Int) async -> Void = { _ in }
    ) async throws {
        let group = makeGroup(handlesSignals: handlesSignals, onListening: onListening)
        let stopper = stop.map { stop in
            Task {
                await stop()
                await group.triggerGracefulShutdown()
            }
        }
        defer { stopper?.cancel() }
        try await group.run()
    }

    private func makeGroup(handlesSignals: Bool, onListening: @escaping @Sendable (Int) async -> Void) -> ServiceGroup {
        var configuration = ServiceGroupConfiguration(
            services: [.init(service: DrainingService(application: application(onListening), model: model, options: options, stats: stats, logger: logger))],
            gracefulShutdownSignals: handlesSignals ? [.sigterm, .sigint] : [], logger: quietLogger)
        // The last resort, for connections that neither finish nor close.
        configuration.maximumGracefulShutdownDuration = .seconds(options.shutdownTimeoutSeconds + 3)
        return ServiceGroup(configuration: configuration)
    }

    /// Hummingbird and the service group tell about every connection; only warnings are ours to pass on.
    private var quietLogger: Logger {
        var quiet = logger
        quiet.logLevel = max(.warning, logger.logLevel)
        return quiet
    }

    private func application(_ onListening: @escaping @Sendable (Int) async -> Void) -> Application<Responder> {
        let options = options
        let http = HTTP1Channel.Configuration(
            additionalChannelHandlers: [
                HeadWithBody(),
                ConnectionGuard(
                    idleTimeout: .seconds(Int64(options.idleTimeoutSeconds)), bodyTimeout: .seconds(Int64(options.bodyTimeoutSeconds)),
                    maxBodyBytes: options.maxBodyBytes),
            ])
        let logger = logger
        return Application(
            responder: Responder(model: model, options: options, stats: stats, logger: logger),
            server: .http1(configuration: http),
            configuration: ApplicationConfiguration(
                address: options.unixSocketPath.map { .unixDomainSocket(path: $0) } ?? .hostname(options.host, port: options.port),
                serverName: "needletail", backlog: 1024,
                availableConnectionsDelegate: MaximumAvailableConnections(options.maxConnections, logger: quietLogger)),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? 0
                if let path = options.unixSocketPath {
                    logger.info("listening on \(path)")
                } else {
                    logger.info("listening on http://\(options.host):\(port)")
                }
                await onListening(port)
            },
            // One thread: streams cost little, and the processors are for the model.
            eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup(numberOfThreads: 1)),
            logger: quietLogger)
    }
}

/// Runs the application; on shutdown gives running requests their time, then aborts them.
private struct DrainingService: Service {
    let application: Application<Responder>
    let model: ServedModel
    let options: ServerOptions
    let stats: ServerStats
    let logger: Logger

    func run() async throws {
        let (finished, finish) = AsyncStream<Void>.makeStream()
        try await withGracefulShutdownHandler {
            defer { finish.finish() }
            try await application.run()
        } onGracefulShutdown: {
            stats.beginDraining()
            logger.info("shutting down", metadata: ["requests": "\(stats.current.load)"])
            Task { await abortAfterTimeout(unless: finished) }
        }
    }

    private func abortAfterTimeout(unless finished: AsyncStream<Void>) async {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                for await _ in finished {}
                return true
            }
            group.addTask {
                try? await Task.sleep(for: .seconds(options.shutdownTimeoutSeconds))
                return false
            }
            if await group.next() == false {
                logger.warning("aborting requests that did not finish in time", metadata: ["requests": "\(stats.current.load)"])
                model.generator.cancelAll()
            }
            group.cancelAll()
        }
    }
}
