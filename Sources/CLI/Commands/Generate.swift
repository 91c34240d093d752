import ArgumentParser
import Engine
import OpenAI
import Progress
import Sampling
import Server
import Tensors

/// `needletail generate`.
struct Generate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Continue a text, without a chat template.",
        discussion: "The prompt is the argument, a file with --file, or standard input.")

    @Argument(help: "Text to continue.")
    var prompt: String?

    @Option(name: .shortAndLong, help: "Folder, .gguf file or hub id. Default: the default model.")
    var model: String?

    @Option(name: .shortAndLong, help: "File that holds the prompt.")
    var file: String?

    @Option(help: "LoRA adapter to apply: a PEFT folder or a hub id.")
    var lora: String?

    @OptionGroup(title: "Sampling") var sampling: SamplingFlags
    @OptionGroup(title: "Engine") var engine: EngineOptions

    @Flag(help: "Print only the text, no figures.")
    var quiet = false

    func run() async throws {
        let text = try promptText()
        var clock = StartClock()
        var session = try await ModelSession.open(model, engine, progress: TerminalProgress(quiet: quiet), clock: &clock)
        if let lora { try await session.apply(adapter: lora) }
        let ids = try session.served.text.encode(text, addSpecialTokens: true)
        guard !ids.isEmpty else { throw ValidationError("the prompt holds no tokens") }
        let parameters = sampling.parameters(session.served.defaults, seed: engine.seed)
        let outcome = try await TextStream(session: session).run(ids, parameters) { Terminal.print($0, terminator: "") }
        Terminal.print("")
        if !quiet {
            Terminal.error(
                "\(outcome.promptTokens) prompt tokens, first token after \(Int(outcome.timeToFirstToken / .milliseconds(1))) ms, "
                    + "\(outcome.outputTokens) tokens at \(Int(outcome.tokensPerSecond.rounded())) tokens/s; start \(clock.summary)")
        }
        await session.engine.shutdown()
    }

    private func promptText() throws -> String {
        if let prompt { return prompt }
        if let file {
            let mapped = try MappedFile(path: file)
            guard let text = String(validating: mapped.bytes, as: UTF8.self) else { throw ValidationError("\(file) is not valid UTF-8") }
            return text
        }
        var text = ""
        while let line = readLine(strippingNewline: false) { text += line }
        guard !text.isEmpty else { throw ValidationError("give a prompt as an argument, with --file, or on standard input") }
        return text
    }
}
