import JSON
import Tensors
import Weights

/// The reference outputs beside an embedding or classification fixture.
struct EmbeddingGolden {
    let name: String
    let prompts: [[Int32]]
    /// First token of each pair's second text; nil for texts alone.
    let secondSegments: [Int?]
    /// `[prompts][width]`: embeddings before and after the last normalisation, or a classifier's scores in the first alone.
    let raw: [[Float]]
    let final: [[Float]]?
    /// Of prompt 1: hidden states of all tokens, `[tokens * hidden]`; nil for classifiers.
    let hidden: [Float]?

    init(folder: String) throws {
        let file = try MappedFile(path: folder + "/golden.json")
        let json = try withExtendedLifetime(file) {
            try JSONValue(parsing: file.bytes.bindMemory(to: UInt8.self), options: .init(allowsNonFinite: true))
        }
        guard let prompts = json["prompts"]?.array?.compactMap(\.int32s), !prompts.isEmpty else {
            throw GoldenError("\(folder)/golden.json has no 'prompts'")
        }
        name = json["name"]?.string ?? folder
        self.prompts = prompts
        let segments = json["second_segments"]?.array
        secondSegments = prompts.indices.map { index in segments.flatMap { index < $0.count ? $0[index].int : nil } }
        let tensors = try Checkpoint.open(folder + "/golden.safetensors")
        if tensors.contains("class_logits_0") {
            raw = try prompts.indices.map { try tensors.tensor("class_logits_\($0)").floats }
            final = nil
        } else {
            raw = try prompts.indices.map { try tensors.tensor("embedding_unnormalized_\($0)").floats }
            final = try prompts.indices.map { try tensors.tensor("embedding_\($0)").floats }
        }
        hidden = tensors.contains("hidden_all_1") ? try tensors.tensor("hidden_all_1").floats : nil
    }

    /// Whether a folder holds such outputs.
    static func exists(in folder: String) -> Bool {
        guard let file = try? MappedFile(path: folder + "/golden.json") else { return false }
        let json = withExtendedLifetime(file) {
            try? JSONValue(parsing: file.bytes.bindMemory(to: UInt8.self), options: .init(allowsNonFinite: true))
        }
        return json?["kind"]?.string == "embedding"
    }
}
