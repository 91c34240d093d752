package import Compute
import JSON
import ModelText
import Models
package import Progress
import Tensors
import Weights

/// A checkpoint in the hub's layout, or another GGUF file, written as a GGUF file whose matrices have a mix's types.
package struct GGUFConversion {
    private let checkpoint: Checkpoint
    private let mix: GGUFMix
    private var entries: [TensorEntry] = []
    /// Source name of each entry; nil where the values are made here.
    private var sources: [(name: String, interleavedHeads: Int)] = []
    private var made: [String: TensorView] = [:]
    private var metadata: [(String, GGUFValue)] = []

    /// - Parameter path: folder in the hub's layout or GGUF file.
    package init(path: String, mix: GGUFMix) throws {
        self.mix = mix
        let opened = try Checkpoint.open(path)
        checkpoint = opened
        if opened.gguf != nil {
            try planFile()
        } else {
            try planFolder(ModelSource(path: path))
        }
        for entry in entries where !RowQuantiser.canWrite(entry.dtype) {
            throw QuantiseError("tensor '\(entry.name)' would be \(entry.dtype), which this build cannot write")
        }
    }

    /// Bytes of the matrices before and after.
    package var byteCounts: (before: Int, after: Int) {
        (checkpoint.byteCount, entries.reduce(0) { $0 + ($1.shape.byteCount($1.dtype) ?? 0) })
    }

    /// "q4_k 120, q6_k 31, f32 61": tensors by type.
    package var summary: String {
        var counts: [String: Int] = [:]
        for entry in entries { counts[entry.dtype.description, default: 0] += 1 }
        return counts.sorted { ($0.value, $1.key) > ($1.value, $0.key) }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }

    package func write(to path: String, on backend: CPUBackend, progress: any ProgressReporter) throws {
        let total = sources.reduce(0) { $0 + (checkpoint.record($1.name)?.byteCount ?? 0) }
        let item = progress.begin("quantising to \(mix.name)", total: total)
        let quantiser = RowQuantiser(backend: backend)
        do {
            try GGUFWriter.write(to: path, entries, metadata: metadata) { index in
                let entry = entries[index], source = sources[index]
                if let view = made[entry.name] { return view }
                let view = try checkpoint.tensor(source.name)
                defer { progress.advance(item, by: view.byteCount) }
                // Types that need no work are copied.
                if view.dtype == entry.dtype, source.interleavedHeads == 0 { return view }
                let rows = try FloatRows(view, name: source.name, interleavedHeads: source.interleavedHeads)
                return try quantiser.tensor(rows, entry.dtype, shape: entry.shape)
            }
            progress.finish(item, .done)
        } catch {
            progress.finish(item, .failed("\(error)"))
            throw error
        }
    }

    // MARK: From the hub's layout

    private mutating func planFolder(_ source: ModelSource) throws {
        let config = try checkpoint.config()
        let family = try GGUFFamily.of(config)
        if config.has("quantization_config") {
            throw QuantiseError("\(checkpoint.path) is quantised already; start from the unquantised checkpoint")
        }
        let description = source.description
        guard let attention = description.layers.first?.attention else { throw QuantiseError("the model has no layers") }
        let hasHead = !description.tiesEmbeddings && checkpoint.contains("lm_head.weight")
        let model = GGUFMix.Model(
            layers: description.layers.count, headsPerKVHead: attention.heads / max(1, attention.kvHeads), hasHead: hasHead, experts: 0)
        let ignored = description.ignoredTensors.map(NamePattern.init)
        for name in checkpoint.names where !ignored.contains(where: { $0.matches(name) }) {
            if name == "lm_head.weight", description.tiesEmbeddings { continue }
            guard let record = checkpoint.record(name), let dtype = record.type.dtype else { continue }
            guard let written = GGUFFamily.name(name) else { throw QuantiseError("tensor '\(name)' has no name in GGUF's \(family.architecture)") }
            let heads = written.contains("attn_q.") ? attention.heads : written.contains("attn_k.") ? attention.kvHeads : 0
            let type = mix.type(written, shape: record.shape, current: dtype, in: model)
            entries.append(TensorEntry(written, type, record.shape))
            sources.append((name, family.interleaves ? heads : 0))
        }
        metadata = try GGUFHeader.metadata(config, family, description, fileType: mix.fileType, folder: checkpoint.folder ?? checkpoint.path)
        if let divisors = try GGUFHeader.rotationDivisors(config, description) {
            let name = "rope_freqs.weight"
            made[name] = try TensorView.make(.f32, [divisors.count]) { $0.copyBytes(from: divisors.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) }) }
            entries.insert(TensorEntry(name, .f32, [divisors.count]), at: 0)
            sources.insert((name, 0), at: 0)
        }
        let vocabulary = try GGUFVocabularyBuilder(folder: checkpoint.folder ?? checkpoint.path, rows: description.vocabularySize, config: config)
        metadata += try vocabulary.metadata()
    }

    // MARK: From another GGUF file

    private mutating func planFile() throws {
        guard let source = checkpoint.gguf else { return }
        let config = try source.model
        let layers = try config.int("block_count", in: 1...4096)
        let heads = try config.int("attention.head_count", default: 1), kvHeads = try config.int("attention.head_count_kv", default: heads)
        let model = GGUFMix.Model(
            layers: layers, headsPerKVHead: heads / max(1, kvHeads), hasHead: checkpoint.contains("output.weight"),
            experts: try config.int("expert_count", default: 0))
        for name in checkpoint.names {
            guard let record = checkpoint.record(name), let dtype = record.type.dtype else {
                throw QuantiseError("tensor '\(name)' is of a type that is not known")
            }
            let type = mix.type(name, shape: record.shape, current: dtype, in: model)
            // What is small stays as it is.
            entries.append(TensorEntry(name, record.shape.rank < 2 ? dtype : type, record.shape))
            sources.append((name, 0))
        }
        for key in source.keys where !key.hasPrefix("split.") && !["general.alignment", "general.file_type", "general.quantization_version"].contains(key) {
            if let value = source.raw(key) { metadata.append((key, value)) }
        }
        metadata.append(("general.quantization_version", .u32(2)))
        metadata.append(("general.file_type", .u32(mix.fileType)))
    }
}
