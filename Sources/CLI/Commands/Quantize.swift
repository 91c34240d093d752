import ArgumentParser
import Compute
import Hub
import Models
import Progress
import Quantize
import Weights

/// `needletail quantize`.
struct QuantizeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quantize",
        abstract: "Make a quantised checkpoint: a GGUF file, or a folder in a layout of the hub.",
        discussion: """
            GGUF types come from a GGUF file or from a folder of the Llama, Mistral, Qwen 2 and Qwen 3 families; the other formats from any folder with
            safetensors. Weights are rounded to nearest under scales searched for the least squared error; embeddings, output head, norms and
            routers keep 8 bits or more. With --text the perplexity before and after is printed.
            """)

    @Argument(help: "Folder, .gguf file or hub id.")
    var model: String

    @Option(name: .customLong("to"), help: ArgumentHelp("Format: \(QuantisationFormat.names.joined(separator: ", ")).", valueName: "format"))
    var format: String

    @Option(name: .shortAndLong, help: "File or folder to write. Default: the model's name and the format's, in the current folder.")
    var output: String?

    @Option(help: "Inputs that share a scale (awq, gptq, w4a16). Default: the largest of 128, 64 and 32 that divides all layers.")
    var groupSize: Int?

    @Option(help: ArgumentHelp("Text whose perplexity is measured before and after.", valueName: "file"))
    var text: String?

    @Option(help: "Windows of 512 tokens that are read of the text.")
    var windows: Int = 40

    @Option(help: "Compute threads. Default: one per processor that the process may use.")
    var threads: Int?

    @Option(help: "Branch, tag or commit on the hub.")
    var revision: String?

    @Flag(help: "Replace what is there.")
    var force = false

    @Flag(help: "Show no progress.")
    var quiet = false

    func validate() throws {
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads is \(threads), but must be 1 to 1024") }
        if let groupSize, !(8...65536).contains(groupSize) { throw ValidationError("--group-size is \(groupSize), but must be 8 to 65536") }
        guard windows > 0 else { throw ValidationError("--windows must be above 0") }
    }

    func run() async throws {
        let format = try QuantisationFormat.named(format)
        let environment = Environment.all
        let progress = TerminalProgress(quiet: quiet, environment: environment)
        let local = try await Hub.locate(try ModelSession.reference(model, revision, environment), environment: environment, progress: progress)
        progress.close()
        let source = local.format == .gguf ? local.weights[0] : local.folder
        let threads = threads ?? Processors.available
        let target = try target(local.name, format, source)
        let backend = CPUBackend(.init(threadCount: threads, maxBatchedTokens: 16))
        let bytes: (before: Int, after: Int)
        switch format {
        case .gguf(let mix):
            let conversion = try GGUFConversion(path: source, mix: mix)
            bytes = conversion.byteCounts
            if FolderFiles.isFolder(target) { throw QuantiseError("\(target) is a folder, but a GGUF file is to be written") }
            try conversion.write(to: target, on: backend, progress: progress)
            Terminal.print("tensors     \(conversion.summary)")
        case .hub(let scheme):
            let conversion = try HubConversion(path: source, scheme: scheme, groupSize: groupSize)
            bytes = conversion.byteCounts
            try OutputFolder.write(target) { try conversion.write(to: $0, on: backend, progress: progress) }
            let groups = scheme.isGrouped ? ", groups of \(conversion.groupSize)" : ""
            let kept = conversion.keptModules.isEmpty ? "" : "; \(conversion.keptModules.count) kept as they were, such as \(conversion.keptModules[0])"
            Terminal.print("layers      \(conversion.modules.count) as \(scheme.rawValue), rounded to nearest (rtn)\(groups)\(kept)")
        }
        progress.close()
        Terminal.print("written     \(target)")
        Terminal.print("size        \(ByteSize.text(bytes.before)) -> \(ByteSize.text(bytes.after))")
        guard let text else { return Terminal.print("perplexity  not measured; give --text FILE to compare before and after") }
        let run = PerplexityRun(text: text, windows: windows, threads: threads, precision: .auto)
        let before = try run.measure(source, progress), after = try run.measure(target, progress)
        progress.close()
        Terminal.print("perplexity  \(PerplexityRun.text(before)) -> \(PerplexityRun.text(after)) over \(after.scoredTokens) tokens")
    }

    /// Where to write; throws where something is there that may not be replaced.
    private func target(_ name: String, _ format: QuantisationFormat, _ source: String) throws -> String {
        let stem = name.split(separator: "/").last.map(String.init) ?? name
        let fallback: String
        switch format {
        case .gguf(let mix): fallback = "\(stem)-\(mix.name).gguf"
        case .hub(let scheme): fallback = "\(stem)-\(scheme.rawValue)"
        }
        var target = output ?? fallback
        while target.count > 1, target.hasSuffix("/") { target.removeLast() }
        guard FolderFiles.exists(target) else { return target }
        if FolderFiles.isSame(target, source) { throw QuantiseError("\(target) is the model itself; name another place with --output") }
        guard force else { throw QuantiseError("\(target) is there already; use --force to replace it, or --output for another place") }
        return target
    }
}
