import JSON
import Tensors
import Weights

/// A checkpoint of a few tensors in a folder of its own while `body` runs.
func withCheckpoint<Result>(
    _ quantization: String?, _ tensors: [(String, TensorView)], _ body: (WeightScope) throws -> Result
) throws -> Result {
    try withFolder { folder in
        try write(quantization.map { "{\"quantization_config\": \($0)}" } ?? "{}", to: folder + "/config.json")
        try write(SafetensorsWriter.bytes(tensors), to: folder + "/model.safetensors")
        return try body(try Checkpoint.open(folder).weights())
    }
}

/// A tensor of these elements.
func view<Element: BitwiseCopyable>(_ dtype: DType, _ shape: Shape, _ elements: [Element]) throws -> TensorView {
    try TensorView.make(dtype, shape) { bytes in elements.withUnsafeBytes { bytes.copyMemory(from: $0) } }
}

/// Zeros.
func zeros(_ dtype: DType, _ shape: Shape) throws -> TensorView { try TensorView.make(dtype, shape) { _ in } }
