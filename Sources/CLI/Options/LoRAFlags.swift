import ArgumentParser
import JSON

/// Adapters that `serve` offers beside the model.
struct LoRAFlags: ParsableArguments {
    static let values = ["lora-modules", "max-loras", "max-lora-rank"]
    static let flags = ["enable-lora", "allow-runtime-lora-updating"]

    @Option(
        parsing: .upToNextOption,
        help: "LoRA adapters to serve under names of their own: NAME=PATH …, or JSON objects with name, path and base_model_name. PATH is a PEFT folder or a hub id.")
    var loraModules: [LoRAModule] = []

    @Flag(help: "Taken for the sake of vLLM's command lines: adapters are always possible.")
    var enableLora = false

    @Option(help: "Most adapters that run at once; requests for further ones wait. Default: no limit.")
    var maxLoras: Int?

    @Option(help: "Largest rank of an adapter. Default: no limit.")
    var maxLoraRank: Int?

    @Flag(help: "Let clients load and unload adapters by path at run time (/v1/load_lora_adapter); VLLM_ALLOW_RUNTIME_LORA_UPDATING=True does the same.")
    var allowRuntimeLoraUpdating = false

    func validate() throws {
        if let maxLoras, maxLoras < 1 { throw ValidationError("--max-loras is \(maxLoras), but must be above 0") }
        if let maxLoraRank, maxLoraRank < 1 { throw ValidationError("--max-lora-rank is \(maxLoraRank), but must be above 0") }
        var names: Set<String> = []
        for module in loraModules where !names.insert(module.name).inserted {
            throw ValidationError("--lora-modules names '\(module.name)' twice")
        }
    }

    func allowsUpdates(_ environment: [String: String]) -> Bool {
        allowRuntimeLoraUpdating || ["1", "true"].contains(environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"]?.lowercased())
    }
}

/// One adapter of `--lora-modules`.
package struct LoRAModule: ExpressibleByArgument, Sendable, Equatable {
    package var name: String
    package var path: String
    package var baseName: String?

    /// `name=path`, or `{"name": …, "path": …, "base_model_name": …}`.
    package init?(argument: String) {
        if argument.first == "{" {
            guard let object = (try? JSONValue(parsing: argument))?.object, let name = object["name"]?.string, let path = object["path"]?.string
            else { return nil }
            (self.name, self.path, baseName) = (name, path, object["base_model_name"]?.string)
        } else {
            guard let equals = argument.firstIndex(of: "=") else { return nil }
            (name, path) = (String(argument[..<equals]), String(argument[argument.index(after: equals)...]))
        }
        if name.isEmpty || path.isEmpty { return nil }
    }
}
