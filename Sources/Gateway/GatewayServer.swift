internal import AsyncHTTPClient
internal import Glibc
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import HummingbirdTLS
package import Jobs
package import Logging
internal import NIOCore
internal import NIOHTTPTypes
internal import NIOPosix
internal import NIOSSL
internal import Providers
internal import ServiceLifecycle
internal import Synchronization
internal import UnixSignals
internal import Web

/// The gateway: an HTTP server in front of a job store and workers.
///
/// ```swift
/// let gateway = try GatewayServer(configuration, store: store, wiring: wiring, logger: logger)
/// try await gateway.run()          // until SIGTERM or SIGINT
/// ```
package final class GatewayServer: Sendable {
    /// What the gateway is given from outside.
    package struct Wiring: Sendable {
        /// Makes the provider of an endpoint.
        package var makeProvider: @Sendable (EndpointDefinition) throws -> EndpointProvider
        /// Handles of workers at the moment they end, where a provider can tell; the others are asked.
        package var workerExits: AsyncStream<String>?
        package var version: String
        /// Reads the configuration again; nil where there is no file.
        package var readConfiguration: (@Sendable () throws -> GatewayConfiguration)?
        /// Filled by the gateway; whoever writes its log can ask it what to leave out.
        package var keys: KeyRing

        package init(
            makeProvider: @escaping @Sendable (EndpointDefinition) throws -> EndpointProvider, workerExits: AsyncStream<String>?, version: String,
            readConfiguration: (@Sendable () throws -> GatewayConfiguration)?, keys: KeyRing = KeyRing()
        ) {
            self.makeProvider = makeProvider
            self.workerExits = workerExits
            self.version = version
            self.readConfiguration = readConfiguration
            self.keys = keys
        }
    }

    private let configuration: GatewayConfiguration
    private let core: GatewayCore
    private let gate: Gatekeeper
    private let live: LiveConfiguration
    private let supervisor: Supervisor
    private let wiring: Wiring
    private let logger: Logger
    private let group: MultiThreadedEventLoopGroup
    private let executors: EventLoopExecutors
    private let port = Mutex(0)
    private let leadership: Leadership
    private let replica = UUIDText.random()

    package init(_ configuration: GatewayConfiguration, store: any JobStore, wiring: Wiring, logger: Logger) throws(DefinitionError) {
        try configuration.check()
        self.configuration = configuration
        self.wiring = wiring
        self.logger = logger
        group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.eventLoopThreads ?? max(1, min(4, System.coreCount / 2)))
        executors = EventLoopExecutors(group)
        let endpoints = EndpointShelf()
        endpoints.setFile(configuration.endpoints)
        let keys = wiring.keys
        keys.replaceConfigured(configuration.keys)
        core = GatewayCore(store: store, endpoints: endpoints, keys: keys, signals: GatewaySignals(), logger: logger)
        gate = Gatekeeper(keys: keys, limits: configuration.rateLimits)
        live = LiveConfiguration(configuration, core: core, gate: gate, read: wiring.readConfiguration, logger: logger)
        let scheme = configuration.certificateFile == nil ? "http" : "https"
        let host = ["0.0.0.0", "::", ""].contains(configuration.host) ? "127.0.0.1" : configuration.host
        let publicURL = configuration.publicURL
        let known = PortBox()
        leadership = Leadership(isSole: !store.isShared)
        supervisor = Supervisor(
            core: core, providers: ProviderShelf(wiring.makeProvider), keys: keys, leadership: leadership,
            address: { _ in publicURL ?? "\(scheme)://\(host.contains(":") ? "[\(host)]" : host):\(known.port)" }, eventLoop: group.any(), logger: logger)
        portBox = known
    }

    private let portBox: PortBox

    private final class PortBox: Sendable {
        private let value = Mutex(0)
        var port: Int {
            get { value.withLock { $0 } }
            set { value.withLock { $0 = newValue } }
        }
    }

    // MARK: Running

    /// Serves until SIGTERM or SIGINT: then no more jobs are accepted or handed out, running ones get their time, workers that it started are stopped.
    /// - Parameter onListening: called once with the port in use.
    package func run(onListening: @escaping @Sendable (Int) async -> Void = { _ in }) async throws {
        if let problem = await live.reload(readsFile: false) { throw DefinitionError(problem) }
        core.signals.reloader.withLock { reloader in reloader = { [weak live] in await live?.reload(readsFile: false) } }
        let changes = core.store.changes()
        try await core.recover()
        gate.keys.replaceWorkers(try await core.store.workers())
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { [core] in await core.follow(changes) }
            tasks.addTask { [core, logger, leadership] in await Upkeep(core: core, logger: logger).run(leads: { leadership.holds }) }
            tasks.addTask { await self.keepLeading() }
            tasks.addTask { await self.sendWebhooks() }
            tasks.addTask { await self.reloadOnSignal() }
            let ready = AsyncStream<Void>.makeStream()
            tasks.addTask { [supervisor] in
                // Workers need the port.
                for await _ in ready.stream { break }
                await supervisor.run()
            }
            tasks.addTask { [core, wiring] in
                guard let exits = wiring.workerExits else { return }
                for await _ in exits { core.signals.wake() }
            }
            try await serve { port in
                self.portBox.port = port
                await onListening(port)
                ready.continuation.finish()
            }
            tasks.cancelAll()
        }
        // Whoever comes next need not wait for the lease to run out.
        if core.store.isShared, leadership.holds { _ = try? await core.store.lead(replica, at: .now, milliseconds: 0) }
        await core.store.close()
        try await group.shutdownGracefully()
    }

    private func serve(_ onListening: @escaping @Sendable (Int) async -> Void) async throws {
        // Closing what is closing already is no error worth a line.
        var silent = logger
        silent.logLevel = .critical
        var services = ServiceGroupConfiguration(services: [.init(service: try application(silent, onListening))], logger: silent)
        // What is left by then are clients that do not go.
        services.maximumGracefulShutdownDuration = .seconds(10)
        let server = ServiceGroup(configuration: services)
        async let _: Void = stopOnSignal(server)
        // New connections too come from an event loop and go to one.
        try await withTaskExecutorPreference(executors[group.any()]) { try await server.run() }
    }

    /// Workers first, then the server: their results have to come in. The service group knows of the signal only afterwards.
    private func stopOnSignal(_ server: ServiceGroup) async {
        for await signal in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
            logger.info("\(signal): shutting down")
            await beginShutdown()
            core.isClosing.withLock { $0 = true }
            core.watch.tellEverybody()
            core.dispatcher.dismissStopPolls()
            core.longPosts.cut()
            await server.triggerGracefulShutdown()
            return
        }
    }

    private func application(_ silent: Logger, _ onListening: @escaping @Sendable (Int) async -> Void) throws -> Application<GatewayResponder> {
        let limits = RequestLimits()
        let client = ClientRoutes(core: core, limits: limits)
        let responder = GatewayResponder(
            core: core, gate: gate, client: client, openAI: OpenAIRoutes(core: core, client: client, limits: limits, executors: executors),
            workers: WorkerRoutes(core: core, limits: limits),
            admin: AdminRoutes(
                core: core, gate: gate, supervisor: supervisor, live: live,
                about: .init(
                    version: wiring.version, startedAt: .now, store: core.store.isShared ? "PostgreSQL" : "SQLite",
                    pricePerWorkerHour: configuration.pricePerWorkerHour)))
        let http = HTTP1Channel.Configuration(
            additionalChannelHandlers: [
                HeadWithBody(), ConnectionGuard(idleTimeout: .seconds(120), bodyTimeout: .seconds(60), maxBodyBytes: 256 << 20),
            ])
        var server = HTTPServerBuilder { [executors] responder in
            LoopBoundChannel(base: HTTP1Channel(responder: responder, configuration: http), executors: executors)
        }
        if let certificate = configuration.certificateFile, let key = configuration.privateKeyFile {
            server = try .tls(server, tlsConfiguration: tls(certificate, key))
        }
        let host = configuration.host
        let logger = logger
        let scheme = configuration.certificateFile == nil ? "http" : "https"
        return Application(
            responder: responder, server: server,
            configuration: ApplicationConfiguration(address: .hostname(host, port: configuration.port), serverName: "needletail", backlog: 4096),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? 0
                logger.info("listening on \(scheme)://\(host.contains(":") ? "[\(host)]" : host):\(port)")
                await onListening(port)
            },
            eventLoopGroupProvider: .shared(group), logger: silent)
    }

    private func tls(_ certificate: String, _ key: String) throws -> TLSConfiguration {
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(certificate).map { NIOSSLCertificateSource.certificate($0) }
            let privateKey = try NIOSSLPrivateKey(file: key, format: .pem)
            var tls = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(privateKey))
            tls.minimumTLSVersion = .tlsv12
            tls.applicationProtocols = ["http/1.1"]
            return tls
        } catch {
            throw DefinitionError("tls: \(certificate) and \(key) must be PEM files of a certificate chain and its private key: \(error)")
        }
    }

    // MARK: Configuration

    private func reloadOnSignal() async {
        for await _ in await UnixSignalsSequence(trapping: .sighup) {
            if await live.reload(readsFile: true) == nil { logger.info("configuration read again") }
        }
    }

    // MARK: Webhooks

    private func sendWebhooks() async {
        let core = core
        let sender = WebhookSender(
            .init(core.store), WebhookConnections(resolver: .system()), logger: logger, onResult: { core.signals.metrics.webhook($0) },
            content: { id in
                guard let record = try await core.store.record(id), let payload = try await core.store.payload(id) else { return nil }
                return WebhookContent(
                    body: JobStatus.webhook(record.job, record.result, payload, at: .now),
                    allowsPrivate: core.endpoints.definition(record.job.endpoint)?.allowsPrivateWebhooks ?? false)
            })
        core.signals.webhookNudge.withLock { nudge in nudge = { sender.nudge() } }
        await sender.run()
    }

    // MARK: Leadership

    private func keepLeading() async {
        guard core.store.isShared else { return }
        while !Task.isCancelled {
            let asked = ContinuousClock.now
            switch try? await core.store.lead(replica, at: .now, milliseconds: Leadership.leaseMilliseconds) {
            case true?:
                if !leadership.holds {
                    logger.info("this gateway leads now: it scales and keeps time")
                    try? await core.synchroniseWorkers()
                }
                leadership.extend(from: asked)
            case false?: leadership.refuse(asked: asked)
            // The store does not answer: what was granted runs out.
            case nil: break
            }
            try? await Task.sleep(for: .seconds(3))
        }
    }

    // MARK: Shutdown

    /// No more jobs go out; those that run come to their end; workers that this gateway started end; held requests are answered.
    private func beginShutdown() async {
        core.isStopping.withLock { $0 = true }
        for seat in core.dispatcher.seats() { core.dispatcher.dismissPolls(of: seat.record.id) }
        await supervisor.stopAll(graceSeconds: configuration.shutdownGrace)
    }
}
