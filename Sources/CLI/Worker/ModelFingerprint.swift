import Glibc
import Hub
import JSON
import Tensors
import Worker

/// Tells two models apart, and two configurations that would write different texts: what one began another must not end.
///
/// The same for the same files, wherever they lie. Weights are known by their sizes and beginnings, which hold the names and shapes of all
/// tensors, and the whole metadata of a GGUF file.
struct ModelFingerprint {
    private static let mostBytesOfAFile = 256 << 10
    private var hash = StableHash()

    private mutating func add(_ text: String?) {
        hash.add((text ?? "").utf8)
        hash.add([0])
    }

    private mutating func add(file path: String) {
        guard let file = try? MappedFile(path: path) else { return add("missing") }
        add(String(file.byteCount))
        file.withUnsafeBytes { hash.add($0.prefix(Self.mostBytesOfAFile)) }
    }

    static func text(_ local: LocalModel, _ configuration: WorkerConfiguration, tokenizerFolder: String?) -> String {
        var print = ModelFingerprint()
        for weights in local.weights { print.add(file: weights) }
        if local.format != .gguf { print.add(file: local.folder + "/config.json") }
        if let folder = tokenizerFolder ?? (local.format == .gguf ? nil : local.folder) { print.add(file: folder + "/tokenizer.json") }
        print.add(configuration.engine.chatTemplate.map { SmallFile.text($0) ?? $0 })
        print.add(String(configuration.seed))
        print.add(configuration.generationOverrides?.text)
        for module in configuration.loraModules.sorted(by: { $0.name < $1.name }) {
            print.add(module.name)
            print.add(file: module.path + "/adapter_config.json")
            print.add(file: module.path + "/adapter_model.safetensors")
        }
        return String(print.hash.value, radix: 16)
    }
}
