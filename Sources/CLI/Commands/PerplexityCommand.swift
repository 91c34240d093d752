import ArgumentParser
import Compute
import Hub
import ModelText
import Models
import Progress
import Quantize
import Tensors
import Tokenizers
import Weights

/// `needletail perplexity`.
struct PerplexityCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perplexity",
        abstract: "Measure how well a model foretells a text.",
        discussion: "Windows of 512 tokens start afresh; of each the second half is scored. Lower is better.")

    @Argument(help: "Folder, .gguf file or hub id. Default: the default model.")
    var model: String?

    @Option(help: ArgumentHelp("The text.", valueName: "file"))
    var text: String

    @Option(help: "Most windows of the text. Default: all.")
    var windows: Int?

    @Option(help: "Precision of activations: auto (by the weights) or float32 (nothing is rounded).")
    var dtype: DTypeOption = .auto

    @Option(help: "Element type of the KV cache.")
    var kvCacheDtype: KVCacheTypeOption = .auto

    @Option(help: "Compute threads. Default: one per processor that the process may use.")
    var threads: Int?

    @Option(help: "Branch, tag or commit on the hub.")
    var revision: String?

    @Flag(help: "Show no progress.")
    var quiet = false

    func validate() throws {
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads is \(threads), but must be 1 to 1024") }
        if let windows, windows < 1 { throw ValidationError("--windows must be above 0") }
    }

    func run() async throws {
        let environment = Environment.all
        let progress = TerminalProgress(quiet: quiet, environment: environment)
        let local = try await Hub.locate(try ModelSession.reference(model, revision, environment), environment: environment, progress: progress)
        progress.close()
        var run = PerplexityRun(text: text, windows: windows ?? .max, threads: threads ?? Processors.available, precision: dtype.precision)
        run.cacheType = kvCacheDtype.type
        let found = try run.measure(local.format == .gguf ? local.weights[0] : local.folder, progress)
        progress.close()
        Terminal.print("perplexity  \(PerplexityRun.text(found)) over \(found.scoredTokens) tokens")
    }
}

/// Perplexity of a text file under a model.
struct PerplexityRun {
    let text: String
    let windows: Int
    let threads: Int
    let precision: ComputePrecision
    var cacheType = KVCacheType.auto

    func measure(_ path: String, _ progress: any ProgressReporter) throws -> Perplexity {
        let source = try ModelSource(path: path)
        let model = try ModelText.load(folder: source.checkpoint.folder ?? path, checkpoint: source.checkpoint, chatTemplate: nil)
        let file = try MappedFile(path: text)
        guard let content = file.withUnsafeBytes({ String(validating: $0, as: UTF8.self) }) else { throw QuantiseError("\(text) is not valid UTF-8") }
        let tokens = try model.tokenizer.encode(content, addSpecialTokens: false, parsesSpecialTokens: false)
        var options = Perplexity.Options(threads: threads)
        options.windows = windows
        options.precision = precision
        options.cacheType = cacheType
        if let bos = model.specialTokens.bos.flatMap({ model.tokenizer.id(of: $0) }), try model.tokenizer.encode("a", addSpecialTokens: true).first == bos {
            options.first = bos
        }
        return try Perplexity.measure(source, tokens: tokens, options: options, progress: progress)
    }

    /// "12.345 ± 0.123".
    static func text(_ value: Perplexity) -> String {
        "\((value.value * 1000).rounded() / 1000) ± \((value.uncertainty * 1000).rounded() / 1000)"
    }
}
