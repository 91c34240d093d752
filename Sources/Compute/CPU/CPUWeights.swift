import CKernels
import Tensors

/// A weight matrix on the CPU: its parts as stored (mapped from the file, no copy) or repacked in panels for the int8 kernels.
final class CPUMatrix {
    struct Part {
        let type: nt_type
        /// Row-major rows as stored, or panels of `nt_pack` or `nt_grouped_pack`.
        let data: UnsafeRawPointer
        /// Bytes between stored rows; 0 for panels.
        let rowStride: Int
        let outputs: Int
        /// First column of the product that this part gives.
        let firstColumn: Int
        /// How panels of grouped codes are laid out, in the memory of `owner`; `type` does not count then.
        var grouped: UnsafePointer<nt_grouped>?
        /// The order in which the columns want their inputs; nil for the stored one.
        var inputOrder: InputOrder?
        /// Keeps `data` alive.
        let owner: AnyObject

        /// Work space of a thread for products of `rows` rows.
        func scratchBytes(_ activations: nt_act, rows: Int, inputs: Int) -> Int {
            if let grouped { return nt_grouped_scratch_bytes(grouped, activations, rows, inputs) }
            return nt_linear_scratch_bytes(activations, type, rows, inputs)
        }

        /// Says what the weight is: all that concerns neither the activations nor the range of columns.
        func describe(in arguments: inout nt_linear_args) {
            arguments.w = data
            arguments.w_stride = rowStride
            arguments.w_type = type
            arguments.grouped = grouped
            arguments.n = outputs
        }
    }

    /// A permutation of a matrix's inputs.
    final class InputOrder {
        let indices: [Int32]

        init(_ indices: [Int32]) { self.indices = indices }

        /// Puts a row's elements in order.
        func gather(_ row: UnsafePointer<Float>, into ordered: UnsafeMutablePointer<Float>) {
            indices.withUnsafeBufferPointer { indices in
                for column in 0..<indices.count { ordered[column] = row[Int(indices[column])] }
            }
        }
    }

    let parts: [Part]
    /// `[outputs]`, or nil.
    let bias: HostMemory?
    /// Parts of installed adapters, by slot.
    var adapters: [[CPUAdapterPart]] = []

    init(parts: [Part], bias: HostMemory?) {
        self.parts = parts
        self.bias = bias
    }
}

/// A table of embeddings as stored: rows are dequantised when they are looked up.
final class CPUEmbedding {
    let type: nt_type
    let view: TensorView

    init(type: nt_type, view: TensorView) {
        self.type = type
        self.view = view
    }
}

extension Matrix {
    var onCPU: CPUMatrix { unsafeDowncast(storage, to: CPUMatrix.self) }
}

extension EmbeddingTable {
    var onCPU: CPUEmbedding { unsafeDowncast(storage, to: CPUEmbedding.self) }
}

extension Vector {
    var floats: UnsafePointer<Float> { UnsafePointer(unsafeDowncast(storage, to: HostMemory.self).floats) }
}

extension DType {
    /// The kernels' number of this type; nil where they do not know it.
    var kernelType: nt_type? {
        switch self {
        case .f32: NT_F32
        case .f16: NT_F16
        case .bf16: NT_BF16
        case .q4_0: NT_Q4_0
        case .q4_1: NT_Q4_1
        case .q5_0: NT_Q5_0
        case .q5_1: NT_Q5_1
        case .q8_0: NT_Q8_0
        case .q2_k: NT_Q2_K
        case .q3_k: NT_Q3_K
        case .q4_k: NT_Q4_K
        case .q5_k: NT_Q5_K
        case .q6_k: NT_Q6_K
        case .q8_k: NT_Q8_K
        case .iq4_nl: NT_IQ4_NL
        case .iq4_xs: NT_IQ4_XS
        case .mxfp4: NT_MXFP4
        case .q8_1: NT_Q8_1
        case .iq1_s: NT_IQ1_S
        case .iq1_m: NT_IQ1_M
        case .iq2_xxs: NT_IQ2_XXS
        case .iq2_xs: NT_IQ2_XS
        case .iq2_s: NT_IQ2_S
        case .iq3_xxs: NT_IQ3_XXS
        case .iq3_s: NT_IQ3_S
        case .tq1_0: NT_TQ1_0
        case .tq2_0: NT_TQ2_0
        case .nvfp4: NT_NVFP4
        case .q1_0: NT_Q1_0
        case .q2_0: NT_Q2_0
        default: nil
        }
    }
}
