import ArgumentParser
import Engine
import Glibc
import JSON
import Logging
import Prometheus
import Server
import Synchronization
import Worker

/// `needletail worker`.
struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "Take jobs from a gateway and run them.",
        discussion: """
            Everything is set by the environment, with the names of Runpod's vLLM worker (MODEL_NAME, MAX_MODEL_LEN, MAX_CONCURRENCY, …); the gateway's
            addresses come in RUNPOD_WEBHOOK_GET_JOB and its like. Without them one job is run, given with --test-input or in test_input.json.

            Variables, each also with NEEDLETAIL_ before its name:

            \(EngineVariables.help)
            """)

    @Option(help: "A job to run, as JSON: {\"input\": {…}}.")
    var testInput: String?

    @Option(help: "Port for /health and /metrics. Default: PORT_HEALTH, else none.")
    var metricsPort: Int?

    @Flag(help: "Read the weights ahead with several threads: for cold disks and network volumes.")
    var prefetch = false

    func run() async throws {
        let coldStart = ColdStart()
        coldStart.mark("process")
        var environment = Environment.all
        let logger = WorkerLogging.logger(environment)
        let place = WorkerPlace(environment)
        do {
            let configuration = try WorkerConfiguration(environment: environment)
            for warning in configuration.warnings { logger.warning("\(warning)") }
            if let problem = place.problem { throw SettingsError(problem) }
            let probesPort = try probesPort(environment)
            // Not a ternary: `nil` beside a JSON value would be JSON's null.
            var testJob: JSONValue?
            if place.addresses == nil { testJob = try TestJob.read(testInput, environment) }
            let model = try WorkerModel(configuration, &environment)
            let session = try await model.open(configuration, environment, prefetches: prefetch || configuration.prefetches, logger, coldStart)
            let service = LocalService(model: session.served, options: model.serverOptions(configuration))
            var settings = place.settings(configuration)
            settings.coldStart = coldStart.json
            settings.fingerprint = session.fingerprint
            logger.info("ready in \(coldStart.summary)")
            if let testJob { return try await runTest(testJob, service, settings, logger, session.engine) }
            try await work(service, settings, session, probesPort, coldStart, logger)
        } catch let error as ExitCode {
            throw error
        } catch {
            logger.error("\(error)")
            if let settings = place.bareSettings { await Worker.reportUnhealthy(check: "start", reason: "\(error)", settings) }
            throw ExitCode(1)
        }
    }

    private func work(
        _ service: LocalService, _ settings: WorkerSettings, _ session: WorkerSession, _ probesPort: Int?, _ coldStart: ColdStart, _ logger: Logger
    ) async throws {
        let events = WorkerEvents(
            onFirstTake: { coldStart.mark("first_take") },
            onFirstOutput: {
                coldStart.mark("first_output")
                logger.info("first output after \(coldStart.summary)")
            })
        let worker = Worker(service: service, settings: settings, logger: logger, events: events)
        let signals = await TerminationSignals()
        let (ends, probesEnd) = AsyncStream<Void>.makeStream()
        let probes = probesPort.map { port in
            Task { await Self.probes(port, session.served, coldStart, logger) { for await _ in ends {} } }
        }
        let end = await worker.run { await signals.wait() }
        probesEnd.finish()
        await probes?.value
        if case .failed = end { throw ExitCode(1) }
        // An engine that hangs must not keep the process.
        let isDown = await Patience.within(seconds: 5) { await session.engine.shutdown() }
        logger.info(isDown ? "stopped" : "stopped; the engine did not end its step in time")
    }

    private func probesPort(_ environment: [String: String]) throws -> Int? {
        var (text, origin) = (metricsPort.map(String.init), "--metrics-port")
        for name in ["NEEDLETAIL_METRICS_PORT", "PORT_HEALTH"] where text == nil { (text, origin) = (WorkerVariables.text(environment[name]), name) }
        guard let text else { return nil }
        guard let port = Int(text), (1...65535).contains(port) else { throw SettingsError("\(origin) is '\(text)', but must be a port from 1 to 65535") }
        return port
    }

    private static func probes(_ port: Int, _ model: ServedModel, _ coldStart: ColdStart, _ logger: Logger, until end: @escaping @Sendable () async -> Void) async {
        var options = ServerOptions()
        options.shutdownTimeoutSeconds = 1
        options.host = "0.0.0.0"
        options.port = port
        options.isOperationalOnly = true
        options.moreMetrics = { coldStart.metrics }
        do {
            try await APIServer(model: model, options: options, logger: logger).run(handlesSignals: false, stop: end)
        } catch {
            logger.error("/health and /metrics cannot be served on port \(port): \(error)")
        }
    }

    private func runTest(_ job: JSONValue, _ service: LocalService, _ settings: WorkerSettings, _ logger: Logger, _ engine: Engine) async throws {
        let result = await Worker.runOnce(job, service: service, settings: settings, logger: logger)
        Terminal.print(result.json)
        await engine.shutdown()
        if result.hasFailed { throw ExitCode(1) }
    }
}

extension ColdStart {
    /// Prometheus text.
    var metrics: [UInt8] {
        var text = PrometheusText(labels: [])
        text.describe("needletail_cold_start_seconds", .gauge, "Phases of the start, from the process's beginning.")
        for phase in phases { text.sample("needletail_cold_start_seconds", [("phase", phase.name)], phase.milliseconds / 1000) }
        return text.bytes
    }
}
