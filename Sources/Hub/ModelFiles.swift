import JSON

package enum ModelFormat: String, Sendable, Equatable { case safetensors, gguf }

/// Which files of a repository or folder make the model, and no others: not the PyTorch, Flax, ONNX or `original/` copies beside it.
package struct ModelFiles: Sendable, Equatable {
    package let format: ModelFormat
    /// Configuration and tokenizer files that are there, relative paths.
    package let small: [String]
    /// Weights in the order of their parts. Empty while `index` is yet to be read.
    package let weights: [String]
    /// `model.safetensors.index.json`, which names the weights.
    package let index: String?

    /// Configuration, tokenizer and chat template files that a loader may ask for, at the root of the repository.
    static let wanted: Set<String> = [
        "config.json", "generation_config.json",
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model",
        "vocab.json", "vocab.txt", "merges.txt", "tekken.json", "spiece.model", "sentencepiece.bpe.model",
        "chat_template.jinja", "chat_template.json",
        "quantize_config.json", "quant_config.json", "hf_quant_config.json",
        "modules.json", "1_Pooling/config.json", "sentence_bert_config.json", "config_sentence_transformers.json",
    ]

    private static let indexName = "model.safetensors.index.json"

    /// - Parameters:
    ///   - paths: all files, relative, with `/`.
    ///   - choice: quantisation, file name or pattern; nil takes safetensors before GGUF.
    ///   - name: of the model, for errors.
    package static func choose(from paths: [String], choice: String?, name: String) throws(HubError) -> ModelFiles {
        let ggufs = GGUFChoice.models(in: paths)
        let safetensors = paths.filter { !$0.contains("/") && $0.hasSuffix(".safetensors") && !isForeign($0) }
        let hasConfig = paths.contains("config.json")

        if let choice {
            if !ggufs.isEmpty, let model = try GGUFChoice.pick(choice, from: ggufs, name: name) { return gguf(model, paths) }
            let matches = paths.filter { $0.hasSuffix(".safetensors") && ($0 == choice || Glob.matches($0, choice)) }
            guard hasConfig, !matches.isEmpty else {
                throw .noSuchChoice(repo: name, choice: choice, available: ggufs.map(\.label) + safetensors)
            }
            return ModelFiles(format: .safetensors, small: small(paths), weights: matches.sorted(), index: nil)
        }
        if hasConfig, !safetensors.isEmpty {
            if safetensors.contains("model.safetensors") {
                return ModelFiles(format: .safetensors, small: small(paths), weights: ["model.safetensors"], index: nil)
            }
            if paths.contains(indexName) {
                return ModelFiles(format: .safetensors, small: small(paths), weights: [], index: indexName)
            }
            // No index: a full-precision set, without variants (`model.fp16.safetensors`) where there is something plainer.
            let plain = safetensors.filter { $0.utf8.count { $0 == UInt8(ascii: ".") } == 1 }
            let chosen = plain.isEmpty ? safetensors : plain
            return ModelFiles(format: .safetensors, small: small(paths), weights: chosen.sorted(), index: nil)
        }
        if !ggufs.isEmpty { return gguf(try GGUFChoice.usual(of: ggufs, name: name), paths) }
        throw .noModel(repo: name, found: paths.filter { !$0.hasPrefix(".") }.sorted())
    }

    /// The weights that an index names, each once, in order.
    package static func shards(index bytes: [UInt8], path: String) throws(HubError) -> [String] {
        guard let json = try? JSONValue(parsing: bytes), let map = json["weight_map"]?.object else {
            throw .file(path: path, action: "read", reason: "it is no index of safetensors (no 'weight_map')")
        }
        var shards = Set<String>()
        for (tensor, shard) in map.members {
            guard let shard = shard.string, HubFile.isSafe(path: shard) else {
                throw .file(path: path, action: "read", reason: "'\(tensor)' is in no usable file name")
            }
            shards.insert(shard)
        }
        return shards.sorted()
    }

    /// Copies of the weights in the layouts of other programs, and adapters, which are no model by themselves.
    private static func isForeign(_ path: String) -> Bool {
        ["consolidated", "adapter_", "optimizer", "rust_model", "tf_model", "flax_model"].contains { path.hasPrefix($0) }
    }

    private static func small(_ paths: [String]) -> [String] {
        paths.filter { path in
            wanted.contains(path) || (!path.contains("/") && path.hasSuffix(".tiktoken"))
                || (path.hasPrefix("additional_chat_templates/") && path.hasSuffix(".jinja"))
        }.sorted()
    }

    /// A GGUF file has configuration and tokenizer inside.
    private static func gguf(_ model: GGUFChoice, _ paths: [String]) -> ModelFiles {
        ModelFiles(format: .gguf, small: [], weights: model.parts, index: nil)
    }
}

/// `*` for any run of characters and `?` for one, over the whole text.
enum Glob {
    static func matches(_ text: String, _ pattern: String) -> Bool {
        let text = Array(text.utf8), pattern = Array(pattern.utf8)
        var t = 0, p = 0, star: (p: Int, t: Int)?
        while t < text.count {
            if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
                star = (p, t)
                p += 1
            } else if p < pattern.count, pattern[p] == UInt8(ascii: "?") || pattern[p] == text[t] {
                p += 1
                t += 1
            } else if let last = star {
                star = (last.p, last.t + 1)
                p = last.p + 1
                t = last.t + 1
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
