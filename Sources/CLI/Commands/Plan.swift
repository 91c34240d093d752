import ArgumentParser
import Compute
import Hub
import JSON
import Models
import Planning
import Progress

/// `needletail plan`.
struct Plan: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print what a model takes of a device's memory, and how fast it could be there, without loading it.",
        discussion: """
            Sizes come from the checkpoint's tables of contents. Speeds are a roofline: what memory bandwidth and arithmetic allow at most; those of
            this machine are measured with our own kernels, those of GPUs are from their data sheets.
            """)

    @Argument(help: "Folder, .gguf file or hub id. Default: the default model.")
    var model: String?

    @Option(help: ArgumentHelp("Device: \(Device.catalogue.map(\.name).joined(separator: ", ")). Default: this machine.", valueName: "name"))
    var gpu: String?

    @Option(help: "Memory of the device that may be used, such as 20GiB. Default: 90% of a GPU's, what is free of this machine's.")
    var memory: ByteSize?

    @Option(help: "Longest text, prompt and answer together, in tokens. Default: the model's own limit.")
    var maxModelLen: TokenCount?

    @Option(help: "Texts at once.")
    var maxNumSeqs: Int = 128

    @Option(help: "Tokens of one step over all sequences.")
    var maxNumBatchedTokens: Int = 2048

    @Option(help: "Tokens in a block of the KV cache, a multiple of 16.")
    var blockSize: Int = 32

    @Option(help: "Type of cached keys and values, as for serve.")
    var kvCacheDtype: KVCacheTypeOption = .auto

    @Option(help: ArgumentHelp("What if the linear layers were \(PlannedFormat.all.map(\.name).joined(separator: ", ")).", valueName: "format"))
    var quantization: String?

    @Option(help: "Compute threads of this machine. Default: one per processor that the process may use.")
    var threads: Int?

    @Option(help: "Branch, tag or commit on the hub.")
    var revision: String?

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        guard maxNumSeqs > 0, maxNumBatchedTokens > 0 else { throw ValidationError("--max-num-seqs and --max-num-batched-tokens must be above 0") }
        guard blockSize > 0, blockSize % 16 == 0, blockSize <= 1024 else {
            throw ValidationError("--block-size is \(blockSize), but must be a multiple of 16 up to 1024")
        }
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads is \(threads), but must be 1 to 1024") }
    }

    func run() async throws {
        let format = try quantization.map { try PlannedFormat.named($0) }
        var device = try gpu.map { try Device.named($0) }
        let environment = Environment.all
        let progress = TerminalProgress(quiet: json, environment: environment)
        let local = try await Hub.locate(try ModelSession.reference(model, revision, environment), environment: environment, progress: progress)
        progress.close()
        let source = try ModelSource(path: local.format == .gguf ? local.weights[0] : local.folder)
        var configuration = CPUBackend.Configuration(threadCount: threads ?? Processors.available, maxBatchedTokens: 256)
        configuration.cacheType = kvCacheDtype.type
        let backend = CPUBackend(configuration)
        if device == nil { device = try HostProbe.measure(backend, available: MachineMemory.available) }
        guard var device else { return }
        if let memory {
            device.memoryByteCount = memory.count
            device.usableShare = 1
        }
        let wish = ModelPlan.Wish(
            length: maxModelLen?.count, sequences: maxNumSeqs, batchedTokens: maxNumBatchedTokens, blockSize: blockSize, format: format)
        let plan = try ModelPlan(source, name: local.name, on: device, backend: backend, isHost: gpu == nil, wish)
        if json { return Terminal.print(plan.json.text) }
        for (name, value) in plan.rows { Terminal.print(name + String(repeating: " ", count: max(1, 12 - name.count)) + value) }
        Terminal.print("")
        for text in plan.speedLines { Terminal.print(text) }
    }
}
