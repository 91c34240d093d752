package import Compute
import Tensors
import Weights

/// Where adapters can attach to a loaded model, kept on any thread while the model itself runs on the engine's.
package struct ModelAdapters: Sendable {
    private let targets: [String: AdapterTarget]
    /// Names that targets end with, from a dot on, where only one does: hub checkpoints and adapters differ in prefixes ("transformer.").
    private let bySuffix: [String: String]

    package init(_ targets: [AdapterTarget]) {
        self.targets = Dictionary(targets.map { ($0.module.name, $0) }, uniquingKeysWith: { first, _ in first })
        var names: [String: [String]] = [:]
        for name in self.targets.keys {
            for suffix in Self.suffixes(name) { names[suffix, default: []].append(name) }
        }
        bySuffix = names.compactMapValues { $0.count == 1 ? $0[0] : nil }
    }

    package var isEmpty: Bool { targets.isEmpty }

    /// Reads an adapter's folder and makes it ready for the model, in memory of its own: its files may be replaced afterwards.
    /// - Parameter maxRank: larger ranks are refused; nil takes any.
    package func load(folder: String, maxRank: Int? = nil) throws -> LowRankAdapter {
        let checkpoint = try AdapterCheckpoint(folder: folder)
        var parts: [LowRankAdapter.Part] = []
        var taken: [String: String] = [:]
        for part in checkpoint.parts {
            let target = try target(of: part.module, checkpoint.file)
            if let other = taken.updateValue(part.module, forKey: target.module.name) {
                throw LoadError.malformed(file: checkpoint.file, tensor: part.module, reason: "and '\(other)' are the same module of this model")
            }
            let rank = part.down.shape[0]
            if let maxRank, rank > maxRank {
                throw LoadError.malformed(
                    file: checkpoint.file, tensor: part.module, reason: "has rank \(rank), more than --max-lora-rank \(maxRank) allows")
            }
            try check(part, target, checkpoint.file)
            parts.append(
                LowRankAdapter.Part(
                    module: target.module.name, down: try part.down.copied(rows: nil), up: try part.up.copied(rows: target.module.outputOrder),
                    scale: part.scale))
        }
        return LowRankAdapter(parts: parts)
    }

    private func check(_ part: AdapterCheckpoint.Part, _ target: AdapterTarget, _ file: String) throws(LoadError) {
        guard part.down.shape[1] == target.inputs else {
            throw .malformed(
                file: file, tensor: part.module,
                reason: "takes \(part.down.shape[1]) inputs, but the base model's '\(target.module.name)' has \(target.inputs); was it trained on another model?")
        }
        guard part.up.shape[0] == target.module.outputs else {
            throw .malformed(
                file: file, tensor: part.module,
                reason: "gives \(part.up.shape[0]) outputs, but the base model's '\(target.module.name)' has \(target.module.outputs); was it trained on another model?")
        }
    }

    private func target(of module: String, _ file: String) throws(LoadError) -> AdapterTarget {
        if let target = targets[module] { return target }
        // The adapter's name may have a prefix that the checkpoint's lacks, or lack one.
        for suffix in Self.suffixes(module) {
            if let target = targets[suffix] { return target }
        }
        if let name = bySuffix[module], let target = targets[name] { return target }
        let components = module.split(separator: ".")
        let reason =
            if components.contains(where: { ["experts", "block_sparse_moe", "shared_expert", "shared_experts", "shared_mlp"].contains($0) }) {
                "is part of a mixture of experts, which adapters cannot change yet; use one trained on attention alone, or merge it into its base model"
            } else if ["embed_tokens", "wte", "lm_head"].contains(components.last) {
                "is an embedding or a head tied to one, which adapters cannot change"
            } else {
                "is no linear layer of this model that adapters can change; was it trained on another model?"
            }
        throw .malformed(file: file, tensor: module, reason: reason)
    }

    /// "a.b.c" → "b.c", "c"; at least two components, as one alone names a kind of layer.
    private static func suffixes(_ name: String) -> [String] {
        let components = name.split(separator: ".")
        guard components.count > 2 else { return [] }
        return (1...components.count - 2).map { components[$0...].joined(separator: ".") }
    }
}

extension ModelSource {
    /// Where adapters can attach to the model that was loaded from this source.
    package func adapters(of runner: DecoderRunner) -> ModelAdapters {
        var targets = runner.adapterTargets
        if let architecture = try? checkpoint.gguf?.architecture, GGUFDecoder.permutedArchitectures.contains(architecture) {
            for index in targets.indices { targets[index].module.outputOrder = permutedOrder(targets[index].module) }
        }
        return ModelAdapters(targets)
    }

    /// llama.cpp stores the rotary pairs of Llama's queries and keys side by side, `[heads, pairs, 2]`; adapters have the hub's `[heads, 2, pairs]`.
    private func permutedOrder(_ module: MatrixModule) -> [Int32]? {
        let components = module.name.split(separator: ".")
        guard let last = components.last, ["q_proj", "k_proj"].contains(last), let layer = components.compactMap({ Int($0) }).first,
            description.layers.indices.contains(layer), let dimension = description.layers[layer].attention?.headDimension,
            module.outputs % dimension == 0
        else { return module.outputOrder }
        return (0..<module.outputs).map { output in
            let (head, place) = output.quotientAndRemainder(dividingBy: dimension)
            return Int32(head * dimension + place % 2 * (dimension / 2) + place / 2)
        }
    }
}

extension TensorView {
    /// The same in memory of its own, with rows picked from this one's.
    /// - Parameter rows: nil takes all in their order.
    func copied(rows: [Int32]?) throws(TensorError) -> TensorView {
        let bytesPerRow = bytesPerRow, count = rowCount
        if let rows {
            guard rows.count == count, rows.allSatisfy({ 0..<count ~= Int($0) }) else {
                throw TensorError("an order of \(rows.count) rows does not fit shape \(shape)")
            }
        }
        return try .make(dtype, shape) { target in
            withUnsafeBytes { source in
                guard let to = target.baseAddress, let from = source.baseAddress else { return }
                if let rows {
                    for (index, row) in rows.enumerated() {
                        (to + index * bytesPerRow).copyMemory(from: from + Int(row) * bytesPerRow, byteCount: bytesPerRow)
                    }
                } else {
                    to.copyMemory(from: from, byteCount: source.count)
                }
            }
        }
    }
}
