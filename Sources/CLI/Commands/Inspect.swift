import ArgumentParser
import Compute
import Hub
import Models
import Planning
import Progress
import Server
import Tensors
import Weights

/// `needletail inspect`.
struct Inspect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print what a model is and what fits in memory, without loading it.")

    @Argument(help: "Folder, .gguf file or hub id. Default: the default model.")
    var model: String?

    @OptionGroup(title: "Engine") var engine: EngineOptions

    @Flag(help: "List every tensor.")
    var tensors = false

    func run() async throws {
        let environment = Environment.all
        let progress = TerminalProgress(environment: environment)
        let local = try await Hub.locate(
            try ModelSession.reference(model, engine.revision, environment), environment: environment, progress: progress)
        progress.close()
        let source = try ModelSource(path: local.format == .gguf ? local.weights[0] : local.folder)
        printModel(local, source)
        try printMemory(source)
        if tensors {
            for record in source.checkpoint.records {
                Terminal.print("  \(record.name)  \(record.type.dtype.map(\.description) ?? "unknown")  \(record.shape)  \(ByteSize.text(record.byteCount))")
            }
        }
    }

    private func printModel(_ local: LocalModel, _ source: ModelSource) {
        let description = source.description
        let records = source.checkpoint.records
        let parameters = records.reduce(0) { $0 + ($1.shape.elementCount ?? 0) }
        var byType: [String: Int] = [:]
        for record in records { byType[record.type.dtype.map(\.description) ?? "unknown", default: 0] += record.byteCount }
        let types = byType.sorted { $0.value > $1.value }.map { "\($0.key) \(ByteSize.text($0.value))" }.joined(separator: ", ")
        row("name", local.name)
        row("path", local.format == .gguf ? local.weights[0] : local.folder)
        row("architecture", description.family)
        row("parameters", "\(Self.count(parameters)) in \(records.count) tensors")
        row("types", types)
        row("layers", "\(description.layers.count) of hidden size \(description.hiddenSize)")
        for part in description.blockSummary { row(part.name, part.value) }
        if let scheme = try? source.checkpoint.quantization(), scheme.storesWeights { row("quantised", scheme.method.rawValue) }
        row("vocabulary", "\(description.vocabularySize)\(description.tiesEmbeddings ? ", tied to the output head" : "")")
        if let pooled = PooledModel(description) { row("gives", pooled.summary) }
        row("longest text", "\(description.maxPositions) tokens")
    }

    private func printMemory(_ source: ModelSource) throws {
        let backend = CPUBackend(engine.backendConfiguration)
        row("backend", backend.summary)
        let plan = try MemoryPlan(source, on: backend, engine)
        row("memory", "\(ByteSize.text(plan.available)) available; weights \(ByteSize.text(plan.weightBytes)), work space up to \(ByteSize.text(plan.workBytes))")
        row("KV cache", "\(ByteSize.text(plan.cache.bytesPerToken)) a token; \(ByteSize.text(plan.cacheBytes)) would be used for \(plan.cacheTokens) tokens")
        row("fits", "\(plan.texts) texts of \(plan.maxModelLength) tokens at once")
    }

    private func row(_ name: String, _ value: String) {
        Terminal.print(name + String(repeating: " ", count: max(1, 16 - name.count)) + value)
    }

    /// "134.5 million".
    private static func count(_ value: Int) -> String {
        let scales = [(1e9, "billion"), (1e6, "million")]
        for (scale, name) in scales where Double(value) >= scale { return "\((Double(value) / scale * 10).rounded() / 10) \(name)" }
        return "\(value)"
    }
}
