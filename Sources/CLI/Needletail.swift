package import ArgumentParser
import Glibc

/// The `needletail` command.
package struct Needletail: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "needletail",
        abstract: "Serve large language models with an OpenAI-compatible API.",
        discussion: """
            needletail serve                         serves the default model on http://127.0.0.1:8000
            needletail serve org/name                a model of the hub (downloaded once, into the usual cache)
            needletail serve ./model.gguf            a GGUF file; a folder in the hub's layout works as well
            needletail chat                          talks to a model in the terminal

            Every option of `serve` is also an environment variable (its name in upper case: MAX_MODEL_LEN) and a key of the YAML file
            given with --config. The command line wins over the environment, the environment over the file.
            """,
        version: "needletail \(Version.text)",
        subcommands: [
            Serve.self, GatewayCommand.self, GatewayKey.self, WorkerCommand.self, Chat.self, Generate.self, Bench.self, Verify.self, Download.self, Inspect.self,
            Plan.self, QuantizeCommand.self, PerplexityCommand.self, VersionCommand.self,
        ])

    package init() {}

    /// Parses the process's arguments, settings from the environment and a file merged in, and runs the command.
    package static func start() async {
        // A client that goes away must not end the process.
        signal(SIGPIPE, SIG_IGN)
        do {
            let settings = try Settings(arguments: Array(CommandLine.arguments.dropFirst()), environment: Environment.all)
            do {
                var command = try parseAsRoot(settings.arguments)
                if var asynchronous = command as? any AsyncParsableCommand {
                    try await asynchronous.run()
                } else {
                    try command.run()
                }
            } catch {
                fail(error, origins: settings.origins)
            }
        } catch {
            fail(error, origins: [:])
        }
    }

    /// - Parameter origins: where merged options came from, to name the source of a bad value.
    private static func fail(_ error: any Error, origins: [String: String]) -> Never {
        let isUsage = exitCode(for: error) == .validationFailure
        if exitCode(for: error).isSuccess || isUsage || error is ExitCode {
            let text = fullMessage(for: error)
            for (option, origin) in origins.sorted(by: { $0.key < $1.key }) where isUsage && text.contains("--\(option)") {
                Terminal.error("note: --\(option) came from \(origin)")
            }
            exit(withError: error)
        }
        Terminal.error("needletail: \(error)")
        Glibc.exit(2)
    }
}
