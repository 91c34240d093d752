import Compute
import JSON
import Step
import Tensors
import Weights

/// What the files of the sentence-transformers library beside a checkpoint say of its end: `modules.json` lists the modules behind the
/// transformer (pooling, dense layers, normalisation), `sentence_bert_config.json` limits the length, `config_sentence_transformers.json`
/// names prompts.
struct SentenceTransformer {
    private let checkpoint: Checkpoint
    private let folder: String
    /// Kind of module and its folder.
    private let modules: [(kind: String, path: String)]

    /// nil where there is no `modules.json`, or none with a pooling.
    init?(_ checkpoint: Checkpoint) throws(LoadError) {
        guard let folder = checkpoint.folder, let file = try? MappedFile(path: folder + "/modules.json") else { return nil }
        let json: JSONValue
        do {
            json = try file.withUnsafeBytes { try JSONValue(parsing: $0.bindMemory(to: UInt8.self)) }
        } catch {
            throw .malformed(file: folder + "/modules.json", tensor: nil, reason: "\(error)")
        }
        modules = (json.array ?? []).map { module in
            // "sentence_transformers.models.Pooling": the last word says what it is.
            let type = module["type"]?.string ?? ""
            return (type.split(separator: ".").last.map(String.init) ?? type, module["path"]?.string ?? "")
        }
        guard modules.contains(where: { $0.kind == "Pooling" }) else { return nil }
        self.checkpoint = checkpoint
        self.folder = folder
    }

    /// Gives the model this end.
    func apply(to description: inout DecoderDescription) throws(LoadError) {
        var pooled = PooledDescription(.last, .none)
        for module in modules {
            let path = module.path.isEmpty ? "" : module.path + "/"
            switch module.kind {
            case "Transformer": break
            case "Pooling":
                guard let config = try checkpoint.settings(path + "config.json") else {
                    throw .file(path: "\(folder)/\(path)config.json", reason: "no such file, but modules.json names it; is the download complete?")
                }
                pooled.pooling = try Self.pooling(config)
            case "Dense":
                guard let config = try checkpoint.settings(path + "config.json") else {
                    throw .file(path: "\(folder)/\(path)config.json", reason: "no such file, but modules.json names it; is the download complete?")
                }
                pooled.layers.append(try dense(config, folder: "\(folder)/\(module.path)"))
            case "Normalize": pooled.activation = .normalize
            default:
                throw .malformed(file: folder + "/modules.json", tensor: nil, reason: "names a module '\(module.kind)', which is not supported")
            }
        }
        description.pooled = pooled
    }

    private static func pooling(_ config: ConfigReader) throws(LoadError) -> PooledOutput.Pooling {
        let modes: [(key: String, name: String, pooling: PooledOutput.Pooling?)] = [
            ("pooling_mode_cls_token", "cls", .first), ("pooling_mode_mean_tokens", "mean", .mean), ("pooling_mode_lasttoken", "lasttoken", .last),
            ("pooling_mode_max_tokens", "max", nil), ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", nil),
            ("pooling_mode_weightedmean_tokens", "weightedmean", nil),
        ]
        let named = config.value("pooling_mode")?.string
        var found: [(key: String, pooling: PooledOutput.Pooling?)] = []
        for mode in modes {
            let isOn = try config.bool(mode.key, default: false)
            if isOn || mode.name == named { found.append((mode.key, mode.pooling)) }
        }
        guard let first = found.first else { throw config.error("pooling_mode_mean_tokens", "is not set, and no other pooling either") }
        guard found.count == 1, let pooling = first.pooling else {
            throw config.error(found.last?.key ?? first.key, "is set; only one of first token (cls), last token and mean is supported")
        }
        return pooling
    }

    private func dense(_ config: ConfigReader, folder: String) throws(LoadError) -> PooledLayer {
        let outputs = try config.int("out_features", in: 1...1 << 20)
        let bias = Bias(try config.bool("bias", default: true))
        let name = try config.string("activation_function", default: "torch.nn.modules.activation.Tanh")
        let activation: PooledLayer.Activation
        if name.hasSuffix("Identity") {
            activation = .identity
        } else if name.hasSuffix("Tanh") {
            activation = .tanh
        } else if name.hasSuffix("ReLU") {
            activation = .relu
        } else {
            throw config.error("activation_function", "is '\(name)'; only Identity, Tanh and ReLU are supported")
        }
        return PooledLayer("linear", outputs: outputs, bias: bias, activation: activation, folder: folder)
    }
}

extension Checkpoint {
    /// A JSON object in a file at or below the folder; nil where there is none.
    fileprivate func settings(_ path: String) throws(LoadError) -> ConfigReader? {
        guard let folder, let file = try? MappedFile(path: "\(folder)/\(path)") else { return nil }
        return try ConfigReader(file: file)
    }
}

extension DecoderDescription {
    /// The same with the end that this checkpoint's folder says.
    func ended(by checkpoint: Checkpoint, _ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var copy = self
        if pooled?.isClassifier != true, let files = try SentenceTransformer(checkpoint) {
            try files.apply(to: &copy)
        } else if copy.pooled?.isClassifier == false, layers.first?.attention?.isBidirectional == true {
            copy.usePooler(checkpoint)
        }
        guard copy.pooled != nil else { return copy }
        copy.ignoredTensors += ["lm_head.*", names.head + ".*"]
        if copy.pooled?.isClassifier == false {
            if try config.bool("is_matryoshka", default: false) { copy.pooled?.matryoshkaWidths = [] }
            if let widths = try config.ints(optional: "matryoshka_dimensions") { copy.pooled?.matryoshkaWidths = widths }
            if let prompts = try checkpoint.settings("config_sentence_transformers.json")?.object(optional: "prompts")?.json {
                for (name, text) in prompts.members { copy.pooled?.prompts[name] = text.string }
            }
        }
        if let limit = try checkpoint.settings("sentence_bert_config.json")?.int(optional: "max_seq_length", in: 1...1 << 30) {
            copy.maxPositions = min(copy.maxPositions, limit)
        }
        return copy
    }

    /// An encoder with nothing said about pooling gives what its pooler makes of the first token, where it has one.
    private mutating func usePooler(_ checkpoint: Checkpoint) {
        let root = names.root.isEmpty ? "" : names.root + "."
        guard checkpoint.contains(root + "pooler.dense.weight") else { return }
        pooled = PooledDescription(.first, .none, layers: [PooledLayer(".pooler.dense", outputs: hiddenSize, bias: .required, activation: .tanh)])
    }
}
