import ArgumentParser
import Engine
import Logging
import OpenAI
import Progress
import Server

/// `needletail serve`.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve a model with an OpenAI-compatible API.",
        discussion: "MODEL is a folder in the hub's layout, a .gguf file or a hub id such as org/name; without it the default model is served.")

    @Argument(help: "Folder, .gguf file or hub id.")
    var model: String?

    @OptionGroup(title: "Engine") var engine: EngineOptions
    @OptionGroup(title: "LoRA") var lora: LoRAFlags
    @OptionGroup(title: "Server") var server: ServerFlags

    func run() async throws {
        guard let level = Logger.Level(rawValue: server.logLevel) else {
            throw ValidationError("--log-level is '\(server.logLevel)', but must be trace, debug, info, notice, warning or error")
        }
        var logger = Logger(label: "needletail") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = server.quiet ? .warning : level
        var clock = StartClock()
        let progress = TerminalProgress(quiet: server.quiet)
        let session = try await ModelSession.open(model, engine, servedNames: server.servedModelName, lora: lora, progress: progress, clock: &clock)
        for line in session.lines { logger.info("\(line)") }
        if !session.served.defaults.summary.isEmpty { logger.info("defaults   \(session.served.defaults.summary) (from the checkpoint)") }
        for module in lora.loraModules {
            do {
                let summary = try await session.served.adapters.load(name: module.name, path: module.path, baseName: module.baseName)
                logger.info("adapter    \(module.name): \(summary)")
            } catch {
                throw SettingsError("--lora-modules \(module.name)=\(module.path): \(error.message)")
            }
        }
        if !lora.loraModules.isEmpty { clock.mark("adapters") }
        logger.info("ready      in \(clock.summary)")
        let options = server.serverOptions(lora, Environment.all)
        let quiet = server.quiet
        let name = session.served.names[0]
        let hasKeys = !options.apiKeys.isEmpty
        let pooled = session.served.pooled
        let greet: @Sendable (Int) async -> Void = { port in
            if !quiet, options.unixSocketPath == nil { Terminal.error(Self.greeting(options.host, port, name, pooled, hasKeys: hasKeys)) }
        }
        try await APIServer(model: session.served, options: options, logger: logger).run(onListening: greet)
        await session.engine.shutdown()
    }

    /// How to talk to it.
    private static func greeting(_ host: String, _ port: Int, _ model: String, _ pooled: PooledModel?, hasKeys: Bool) -> String {
        let host = ["0.0.0.0", "::"].contains(host) ? "127.0.0.1" : host.contains(":") ? "[\(host)]" : host
        let key = hasKeys ? " -H 'Authorization: Bearer YOUR_KEY'" : ""
        let text = "Tell me about swifts, the birds."
        let (path, request) =
            if let pooled {
                (pooled.isClassifier ? "/classify" : "/v1/embeddings", "\"input\": \"\(text)\"")
            } else {
                ("/v1/chat/completions", "\"stream\": true, \"messages\": [{\"role\": \"user\", \"content\": \"\(text)\"}]")
            }
        return """

            Serving \(model) at http://\(host):\(port)/v1 — try:

              curl http://\(host):\(port)\(path) -H 'Content-Type: application/json'\(key) \\
                -d '{"model": "\(model)", \(request)}'

            Ctrl-C stops it.
            """
    }
}
