package import Compute
import JSON
package import Progress
import Tensors
import Weights

/// A checkpoint in the hub's layout written as another one, its linear layers in a quantised layout, all else as it was.
package struct HubConversion {
    let checkpoint: Checkpoint
    let config: ConfigReader
    let scheme: HubScheme
    package let groupSize: Int
    /// Type of the scales: halves by AWQ's and GPTQ's convention, else the model's own.
    let scaleType: DType
    /// Names of the linear layers that are quantised, and those that are not.
    package let modules: [String]
    package let keptModules: [String]
    private let entries: [(source: String, outputs: [TensorEntry])]

    /// - Parameter groupSize: inputs that share a scale; nil takes the largest of 128, 64 and 32 that divides all of them.
    package init(path: String, scheme: HubScheme, groupSize wanted: Int?) throws {
        let checkpoint = try Checkpoint.open(path)
        guard checkpoint.format == .safetensors, checkpoint.folder != nil else {
            throw QuantiseError("\(scheme.rawValue) is made from a folder in the hub's layout, and \(path) is none; GGUF files become GGUF files")
        }
        config = try checkpoint.config()
        if config.has("quantization_config") || config.has("compression_config") {
            throw QuantiseError("\(path) is quantised already; start from the unquantised checkpoint")
        }
        self.checkpoint = checkpoint
        self.scheme = scheme
        let names = checkpoint.names.filter { name in checkpoint.record(name).map { LinearWeights.contains(name, $0) } ?? false }
        guard !names.isEmpty else { throw QuantiseError("\(path) has no linear layers of its own tensors that could be quantised") }
        if let type = try config.strings(optional: "architectures")?.first, type.hasPrefix("GPT2") || type.hasPrefix("OpenAIGPT") {
            throw QuantiseError("\(type) stores its linear layers transposed, which no hub layout does; use a GGUF format")
        }
        let inputs = names.compactMap { checkpoint.record($0)?.shape[1] }
        let size = wanted ?? [128, 64, 32].first { size in inputs.allSatisfy { $0 % size == 0 } } ?? 32
        if scheme.isGrouped, size < 8 || size % 8 != 0 { throw QuantiseError("--group-size \(size) must be a multiple of 8") }
        groupSize = size
        let own: DType = try config.string(optional: "torch_dtype", "dtype") == "float16" ? .f16 : .bf16
        let type = scheme == .awq || scheme == .gptq ? .f16 : own
        scaleType = type
        var entries: [(source: String, outputs: [TensorEntry])] = [], modules: [String] = [], kept: [String] = []
        let wantedNames = Set(names)
        for name in checkpoint.names {
            guard let record = checkpoint.record(name), let dtype = record.type.dtype else { throw QuantiseError("tensor '\(name)' is of an unknown type") }
            let module = String(name.dropLast(".weight".count))
            if wantedNames.contains(name), Self.fits(scheme, record.shape, size) {
                modules.append(module)
                entries.append((name, Self.pieces(scheme, record.shape, size, type).map { TensorEntry("\(module).\($0)", $1, $2) }))
                continue
            }
            if wantedNames.contains(name) { kept.append(module) }
            // AWQ and GPTQ models run in halves.
            let target = dtype == .bf16 && (scheme == .awq || scheme == .gptq) ? DType.f16 : dtype
            entries.append((name, [TensorEntry(name, target, record.shape)]))
        }
        if modules.isEmpty { throw QuantiseError("no linear layer has inputs that groups of \(size) divide; use another --group-size") }
        if wanted != nil, !kept.isEmpty {
            throw QuantiseError("'\(kept[0])' does not divide into groups of \(size) (of \(kept.count) such layers); use another --group-size")
        }
        self.entries = entries
        self.modules = modules
        keptModules = kept
    }

    /// Whether a layer's sides are multiples of what the layout packs.
    private static func fits(_ scheme: HubScheme, _ shape: Shape, _ groupSize: Int) -> Bool {
        !scheme.isGrouped || (shape[1] % groupSize == 0 && shape[0] % 8 == 0)
    }

    private static func pieces(_ scheme: HubScheme, _ shape: Shape, _ size: Int, _ scale: DType) -> [(String, DType, Shape)] {
        let outputs = shape[0], inputs = shape[1], groups = inputs / max(1, size)
        switch scheme {
        case .awq: return [("qweight", .i32, [inputs, outputs / 8]), ("qzeros", .i32, [groups, outputs / 8]), ("scales", .f16, [groups, outputs])]
        case .gptq:
            return [
                ("qweight", .i32, [inputs / 8, outputs]), ("qzeros", .i32, [groups, outputs / 8]), ("g_idx", .i32, [inputs]),
                ("scales", .f16, [groups, outputs]),
            ]
        case .w4a16: return [("weight_shape", .i64, [2]), ("weight_packed", .i32, [outputs, inputs / 8]), ("weight_scale", scale, [outputs, groups])]
        case .int8: return [("weight_scale", scale, [outputs, 1]), ("weight", .i8, [outputs, inputs])]
        case .fp8: return [("weight_scale", scale, [outputs, 1]), ("weight", .f8_e4m3, [outputs, inputs])]
        case .fp8Block:
            let block = ByteMatrix.blockSize
            return [("weight_scale_inv", .f32, [(outputs + block - 1) / block, (inputs + block - 1) / block]), ("weight", .f8_e4m3, [outputs, inputs])]
        }
    }

    package var byteCounts: (before: Int, after: Int) {
        (checkpoint.byteCount, entries.reduce(0) { $0 + $1.outputs.reduce(0) { $0 + ($1.shape.byteCount($1.dtype) ?? 0) } })
    }

    // MARK: Writing

    /// Bytes of a shard, at most, where more than one tensor is in it.
    package static let shardBytes = 5_000_000_000

    /// Writes all files into `folder`, which must exist.
    package func write(
        to folder: String, on backend: CPUBackend, progress: any ProgressReporter, shardBytes: Int = HubConversion.shardBytes
    ) throws {
        let shards = shards(of: shardBytes)
        let item = progress.begin("quantising to \(scheme.rawValue)", total: checkpoint.byteCount)
        do {
            var places: [(String, JSONValue)] = []
            for (index, shard) in shards.enumerated() {
                let name = shards.count == 1 ? "model.safetensors" : "model-\(Self.fiveDigits(index + 1))-of-\(Self.fiveDigits(shards.count)).safetensors"
                let list = shard.flatMap { part in part.outputs.map { (part.source, $0) } }
                var work = ShardWork(conversion: self, backend: backend, progress: progress, item: item)
                try SafetensorsWriter.write(to: "\(folder)/\(name)", list.map(\.1), metadata: [("format", "pt")]) { try work.tensor(list[$0].1, of: list[$0].0) }
                places += list.map { ($0.1.name, .string(name)) }
            }
            if shards.count > 1 {
                let index: JSONValue = ["metadata": ["total_size": .int(byteCounts.after)], "weight_map": .object(JSONObject(places))]
                try FolderFiles.write(index.text, to: "\(folder)/model.safetensors.index.json")
            }
            try writeConfiguration(to: folder)
            progress.finish(item, .done)
        } catch {
            progress.finish(item, .failed("\(error)"))
            throw error
        }
    }

    private func shards(of limit: Int) -> [[(source: String, outputs: [TensorEntry])]] {
        var shards: [[(source: String, outputs: [TensorEntry])]] = [[]], size = 0
        for entry in entries {
            let bytes = entry.outputs.reduce(0) { $0 + ($1.shape.byteCount($1.dtype) ?? 0) }
            if size > 0, size + bytes > limit {
                shards.append([])
                size = 0
            }
            shards[shards.count - 1].append(entry)
            size += bytes
        }
        return shards
    }

    private static func fiveDigits(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
}
