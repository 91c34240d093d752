import ArgumentParser
import Gateway
import Hub
import Jobs
import JSON
import Logging
import Providers

/// `needletail gateway`.
struct GatewayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway",
        abstract: "Run serverless endpoints: a durable queue, workers that start on demand, Runpod's and OpenAI's APIs.",
        discussion: """
            needletail gateway --demo                 SQLite, scale to zero, the default model; prints how to talk to it
            needletail gateway --config FILE.yaml     endpoints, keys, providers; SIGHUP reads the file again
            """)

    @Option(help: "Definition file (YAML).")
    var config: String?

    @Option(help: "Address to listen on, HOST:PORT; port 0 takes a free one.")
    var listen: String?

    @Option(help: "Job store: sqlite:PATH or postgres://USER@HOST/DATABASE.")
    var store: String?

    @Option(help: "Folder for logs of workers and the SQLite file.")
    var stateDirectory: String?

    @Flag(help: "One endpoint with the default model, on this machine, without a file.")
    var demo = false

    @Option(help: "trace, debug, info, notice, warning or error.")
    var logLevel = "info"

    @Option(help: "Log lines for people (text) or for machines (json, one object a line).")
    var logFormat = LogFormat.text

    func run() async throws {
        guard let level = Logger.Level(rawValue: logLevel) else {
            throw ValidationError("--log-level is '\(logLevel)', but must be trace, debug, info, notice, warning or error")
        }
        guard config != nil || demo else { throw ValidationError("give --config FILE.yaml, or --demo to try it") }
        let format = logFormat
        let keys = KeyRing()
        let redactor = Redactor(isKey: { keys.isKey($0) })
        let logger = Logger(label: "needletail") { JobLogHandler(label: $0, format: format, level: level, redactor: redactor) }
        let environment = Environment.all
        let read: @Sendable () throws -> GatewayConfiguration = { [self] in try configuration(environment) }
        let settings = try read()
        let state = settings.stateDirectory ?? StoreFactory.stateDirectory(environment)
        try Files.createFolder(state)
        let store = try await StoreFactory.open(settings.store ?? "sqlite:\(state)/\(demo && config == nil ? "demo" : "gateway").db")
        let processes = ProcessProvider(folder: "\(state)/workers")
        let factory = ProviderFactory(processes: processes)
        let wiring = GatewayServer.Wiring(
            makeProvider: { try factory.make($0) }, workerExits: processes.exits(), version: Version.text,
            readConfiguration: config == nil ? nil : read, keys: keys)
        let gateway = try GatewayServer(settings, store: store, wiring: wiring, logger: logger)
        let greets = demo
        try await gateway.run { port in
            if greets { Terminal.error(DemoGreeting.text(settings, port)) }
        }
    }

    /// The file, with what the command line says instead.
    private func configuration(_ environment: [String: String]) throws -> GatewayConfiguration {
        var settings = GatewayConfiguration()
        if let config { settings = try GatewayConfiguration(try YAMLText.read(config), file: config, environment: environment) }
        if demo { settings.endpoints.append(try DemoEndpoint.definition(environment)) }
        if let listen { try settings.listen(on: listen) }
        if let store { settings.store = store }
        if let stateDirectory { settings.stateDirectory = stateDirectory }
        return settings
    }
}

extension LogFormat: ExpressibleByArgument {}
