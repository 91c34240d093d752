import ArgumentParser
import Hub
import ModelText
import Progress
import Tokenizers

/// `needletail download`.
struct Download: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Download a model into the hub cache.",
        discussion: """
            Uses the cache of the huggingface_hub library (HF_HOME, HF_HUB_CACHE), takes only the files needed to run the model, and resumes
            what was interrupted. Gated models need HF_TOKEN. Prints the folder or file that `serve` would take. Makes the tables of the
            tokenizer, too, which are kept in ~/.cache/needletail, so that the first start is as quick as the next.
            """)

    @Argument(help: "Hub id: org/name, org/name:Q4_K_M for a GGUF repository, org/name@revision. Default: the default model.")
    var model: String?

    @Option(help: "Branch, tag or commit.")
    var revision: String?

    @Flag(help: "Show no progress.")
    var quiet = false

    func run() async throws {
        let environment = Environment.all
        let reference = try ModelSession.reference(model, revision, environment)
        let progress = TerminalProgress(quiet: quiet, environment: environment)
        let local = try await Hub.locate(reference, environment: environment, progress: progress)
        progress.close()
        if local.format != .gguf {
            let cache = TokenizerCache(environment: environment)
            // A model whose text side cannot be read can still be wanted; `serve` says what is wrong with it.
            _ = try? ModelText.load(folder: local.folder, checkpoint: nil, chatTemplate: nil, cache: cache)
            cache.write()
        }
        Terminal.print(local.format == .gguf ? local.weights[0] : local.folder)
    }
}
