package import Tensors

/// A PEFT adapter's folder: `adapter_config.json` and `adapter_model.safetensors`.
package struct AdapterCheckpoint: Sendable {
    /// The low-rank part of one module.
    package struct Part: Sendable {
        /// As the adapter names it: "model.layers.0.self_attn.q_proj".
        package var module: String
        /// A, `[rank, inputs]`.
        package var down: TensorView
        /// B, `[outputs, rank]`.
        package var up: TensorView
        package var scale: Float
    }

    package let folder: String
    package let file: String
    package let configuration: AdapterConfiguration
    /// In the order of the file.
    package let parts: [Part]

    /// Reads and checks names, ranks and types; the tensors are windows on the mapped file.
    package init(folder path: String) throws(LoadError) {
        guard let folder = Folder(path) else { throw .file(path: path, reason: "no adapter found: there is no such folder") }
        self.folder = path
        guard folder.contains("adapter_config.json") else {
            throw .file(path: path, reason: "no adapter found: there is no adapter_config.json")
        }
        configuration = try AdapterConfiguration(try ConfigReader(file: folder.file("adapter_config.json")))
        guard folder.contains("adapter_model.safetensors") else {
            guard folder.contains("adapter_model.bin") else {
                throw .file(path: path, reason: "no adapter found: there is no adapter_model.safetensors")
            }
            throw .file(
                path: folder.file("adapter_model.bin"),
                reason: "adapters are read from safetensors only; save it again with save_pretrained(..., safe_serialization=True)")
        }
        let checkpoint = try Checkpoint(try SafetensorsFile(path: folder.file("adapter_model.safetensors")))
        file = checkpoint.path
        parts = try Self.parts(checkpoint, configuration)
    }

    private static func parts(_ checkpoint: Checkpoint, _ configuration: AdapterConfiguration) throws(LoadError) -> [Part] {
        var order: [String] = []
        var halves: [String: (down: String?, up: String?)] = [:]
        for name in checkpoint.names {
            let (module, half) = try split(name, checkpoint.path)
            if halves[module] == nil { order.append(module) }
            var pair = halves[module] ?? (nil, nil)
            if let other = half == .down ? pair.down : pair.up {
                throw .malformed(file: checkpoint.path, tensor: name, reason: "is the same as '\(other)' under another name")
            }
            if half == .down { pair.down = name } else { pair.up = name }
            halves[module] = pair
        }
        guard !order.isEmpty else { throw .malformed(file: checkpoint.path, tensor: nil, reason: "holds no tensors") }
        var parts: [Part] = []
        for module in order {
            guard let down = halves[module]?.down else { throw .missingTensor(name: "\(module).lora_A.weight", file: checkpoint.path) }
            guard let up = halves[module]?.up else { throw .missingTensor(name: "\(module).lora_B.weight", file: checkpoint.path) }
            parts.append(try part(module, down: down, up: up, checkpoint, configuration))
        }
        return parts
    }

    private static func part(
        _ module: String, down: String, up: String, _ checkpoint: Checkpoint, _ configuration: AdapterConfiguration
    ) throws(LoadError) -> Part {
        let rank = configuration.rank(of: module)
        let part = Part(
            module: module, down: try checkpoint.tensor(down), up: try checkpoint.tensor(up), scale: configuration.scale(of: module))
        for (name, view) in [(down, part.down), (up, part.up)] {
            guard [.f32, .f16, .bf16].contains(view.dtype) else {
                throw .dtypeMismatch(name: name, file: checkpoint.path, expected: [.f32, .f16, .bf16], found: view.dtype)
            }
            guard view.shape.rank == 2 else {
                throw .malformed(file: checkpoint.path, tensor: name, reason: "has shape \(view.shape); only linear layers' matrices are supported")
            }
        }
        guard part.down.shape[0] == rank else {
            throw .malformed(
                file: checkpoint.path, tensor: down, reason: "has shape \(part.down.shape), but \(configuration.file) says rank \(rank)")
        }
        guard part.up.shape[1] == rank else {
            throw .malformed(file: checkpoint.path, tensor: up, reason: "has shape \(part.up.shape), but \(configuration.file) says rank \(rank)")
        }
        return part
    }

    // MARK: Names

    private enum Half { case down, up }

    /// `base_model.model.<module>.lora_A.weight`, also with the adapter's name (`.lora_A.default.weight`) or without the prefix.
    private static func split(_ name: String, _ file: String) throws(LoadError) -> (module: String, half: Half) {
        var components = name.split(separator: ".", omittingEmptySubsequences: false)
        if components.starts(with: ["base_model", "model"]) { components.removeFirst(2) }
        guard let place = components.firstIndex(where: { $0 == "lora_A" || $0 == "lora_B" }), place > 0 else {
            throw .malformed(file: file, tensor: name, reason: "is no part of a low-rank adapter of linear layers (\(hint(components)))")
        }
        let rest = components[(place + 1)...]
        guard rest.elementsEqual(["weight"]) || rest.elementsEqual(["default", "weight"]) else {
            let reason = rest.last == "bias" ? "is a bias beside the low-rank part ('lora_bias'), which is not supported" : "is not a weight of a low-rank adapter"
            throw .malformed(file: file, tensor: name, reason: reason)
        }
        return (components[..<place].joined(separator: "."), components[place] == "lora_A" ? .down : .up)
    }

    private static func hint(_ components: [Substring]) -> String {
        if components.contains("lora_magnitude_vector") { return "DoRA is not supported" }
        if components.contains("lora_embedding_A") || components.contains("lora_embedding_B") { return "adapters of embeddings are not supported" }
        if components.contains("modules_to_save") { return "'modules_to_save' is not supported" }
        return "expected names such as base_model.model.MODULE.lora_A.weight"
    }
}
