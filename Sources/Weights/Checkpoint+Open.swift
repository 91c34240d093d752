package import JSON
import Tensors

extension Checkpoint {
    /// Opens a model folder in the hub's layout (safetensors in one file or shards, or a single GGUF model) or a `.gguf` or
    /// `.safetensors` file.
    package static func open(_ path: String) throws(LoadError) -> Checkpoint {
        throw .unsupported(file: path, reason: "not yet")
    }

    /// A JSON file beside the weights, for instance `config.json`; nil where there is none.
    package func json(_ name: String) throws(LoadError) -> JSONObject? {
        throw .unsupported(file: path, reason: "not yet")
    }

    /// `config.json`.
    package func config() throws(LoadError) -> ConfigReader {
        throw .unsupported(file: path, reason: "not yet")
    }

    /// `generation_config.json`; all nil where there is none.
    package func generationConfig() throws(LoadError) -> GenerationConfig {
        throw .unsupported(file: path, reason: "not yet")
    }

    /// The tokenizer data in a GGUF file; nil in other formats and where the file has none.
    package func vocabulary() throws(LoadError) -> GGUFVocabulary? {
        throw .unsupported(file: path, reason: "not yet")
    }
}
