import ArgumentParser
import Engine
import JSON
import OpenAI
import Progress
import Server

/// `needletail chat`.
struct Chat: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Talk to a model in the terminal.",
        discussion: """
            MODEL is a folder in the hub's layout, a .gguf file or a hub id such as org/name; without it the default model is taken.
            Where standard input is no terminal, its lines are the questions. /help in the chat lists its commands.
            """)

    @Argument(help: "Folder, .gguf file or hub id.")
    var model: String?

    @Option(help: "System message.")
    var system: String?

    @Option(name: .shortAndLong, help: "Ask this one question, print the answer and end.")
    var prompt: String?

    @Option(help: "JSON object with variables for the chat template, such as {\"enable_thinking\": false}.")
    var chatTemplateKwargs: String?

    @Option(help: "LoRA adapter to apply: a PEFT folder or a hub id.")
    var lora: String?

    @OptionGroup(title: "Sampling") var sampling: SamplingFlags
    @OptionGroup(title: "Engine") var engine: EngineOptions

    @Flag(help: "Print nothing but answers and errors.")
    var quiet = false

    func run() async throws {
        let variables = try templateVariables()
        var options = engine
        // One conversation at a time; the second sequence's share keeps the cached beginning of the conversation.
        options.maxNumSeqs = min(options.maxNumSeqs, 2)
        var clock = StartClock()
        var session = try await ModelSession.open(model, options, progress: TerminalProgress(quiet: quiet), clock: &clock)
        if let lora { try await session.apply(adapter: lora) }
        let quiet = quiet
        let output = ChatLoop.Output(text: { Terminal.print($0, terminator: "") }, note: { Terminal.error($0) })
        var loop = ChatLoop(
            model: SessionChatModel(session: session, templateVariables: variables),
            sampling: sampling.parameters(session.served.defaults, seed: engine.seed), system: system, output: output)
        if let prompt {
            let isAnswered = await loop.ask(prompt)
            await session.engine.shutdown()
            if !isAnswered { throw ExitCode(1) }
            return
        }
        if Terminal.isInteractive {
            if !quiet { Terminal.error("\(session.served.names[0]), ready in \(clock.summary). /help lists the commands, Ctrl-D ends.") }
            var lines = TypedLines()
            try await loop.run(&lines)
        } else {
            var lines = PipedLines()
            try await loop.run(&lines)
        }
        await session.engine.shutdown()
    }

    private func templateVariables() throws -> JSONObject {
        guard let text = chatTemplateKwargs else { return JSONObject() }
        guard let object = (try? JSONValue(parsing: text))?.object else {
            throw ValidationError("--chat-template-kwargs must be a JSON object, not '\(text)'")
        }
        return object
    }
}
