import JSON
import Tensors
import Weights

/// The reference outputs beside a model fixture (`golden.json`, `golden.safetensors`).
struct ModelGolden {
    let name: String
    let prompts: [[Int32]]
    let greedy: [[Int32]]
    /// The continuation when the whole text is computed again at each step, where it differs (dynamic NTK).
    let greedyRecomputed: [[Int32]]?
    let greedyMargin: [[Double]]
    let logitsStandardDeviation: [Double]
    /// Largest error that computing in bfloat16 makes in the reference itself.
    let bfloat16Error: [Double]
    /// `[prompts][vocabulary]`.
    let lastLogits: [[Float]]
    /// The same without the adapter that lies beside the model; nil where there is none.
    let baseLogits: [[Float]]?
    /// The same by a reference that rounds activations as the quantisation scheme says; nil for schemes that do not.
    let roundedLogits: [[Float]]?
    /// How the weights were quantised: "awq", "ct-w8a8"; nil for plain weights.
    let method: String?
    /// Of prompt 1: `[positions * vocabulary]`.
    let allLogprobs: [Float]
    let tokenizerCases: JSONValue?

    init(folder: String) throws {
        let file = try MappedFile(path: folder + "/golden.json")
        let json = try withExtendedLifetime(file) {
            try JSONValue(parsing: file.bytes.bindMemory(to: UInt8.self), options: .init(allowsNonFinite: true))
        }
        func value(_ key: String) throws -> JSONValue {
            guard let value = json[key] else { throw GoldenError("\(folder)/golden.json has no '\(key)'") }
            return value
        }
        func ints(_ value: JSONValue) -> [[Int32]] { (value.array ?? []).map { ($0.array ?? []).compactMap { $0.int.map(Int32.init) } } }
        func doubles(_ value: JSONValue?) -> [Double] { (value?.array ?? []).compactMap(\.double) }
        name = json["name"]?.string ?? folder
        prompts = ints(try value("prompts"))
        greedy = ints(try value("greedy"))
        greedyRecomputed = json["greedy_recomputed"].map(ints)
        greedyMargin = (try value("greedy_margin").array ?? []).map { doubles($0) }
        logitsStandardDeviation = doubles(try value("logits_std"))
        bfloat16Error = doubles(json["bf16_compute_max_abs_err"])
        tokenizerCases = json["tokenizer_cases"]
        let tensors = try Checkpoint.open(folder + "/golden.safetensors")
        lastLogits = try prompts.indices.map { try tensors.tensor("logits_last_\($0)").floats }
        baseLogits = tensors.contains("base_logits_last_0") ? try prompts.indices.map { try tensors.tensor("base_logits_last_\($0)").floats } : nil
        method = json["method"]?.string
        roundedLogits = tensors.contains("act_logits_last_0") ? try prompts.indices.map { try tensors.tensor("act_logits_last_\($0)").floats } : nil
        allLogprobs = try tensors.tensor("logprobs_all_1").floats
        guard greedy.count == prompts.count, greedyMargin.count == prompts.count, logitsStandardDeviation.count == prompts.count else {
            throw GoldenError("\(folder)/golden.json: lists of different lengths")
        }
    }

    static func exists(in folder: String) -> Bool {
        (try? MappedFile(path: folder + "/golden.json")) != nil
    }
}

struct GoldenError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

extension TensorView {
    /// The elements of an f32 tensor.
    var floats: [Float] {
        get throws {
            guard dtype == .f32 else { throw GoldenError("a golden tensor has type \(dtype), expected f32") }
            return withUnsafeBytes { bytes in (0..<count).map { bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) } }
        }
    }
}
