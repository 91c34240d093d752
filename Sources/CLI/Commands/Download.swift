import ArgumentParser
import Hub
import Progress

/// `needletail download`.
struct Download: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Download a model into the hub cache.",
        discussion: """
            Uses the cache of the huggingface_hub library (HF_HOME, HF_HUB_CACHE), takes only the files needed to run the model, and resumes
            what was interrupted. Gated models need HF_TOKEN. Prints the folder or file that `serve` would take.
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
        Terminal.print(local.format == .gguf ? local.weights[0] : local.folder)
    }
}
