/// A linear layer's weight `[outputs, inputs]` in one of the few forms that every checkpoint layout is brought into before a backend takes it.
///
/// The `Weights` room turns AWQ, GPTQ, compressed-tensors, FP8, bitsandbytes and MXFP4 files into these; backends make their own layout of them.
package enum StoredWeight: Sendable {
    /// Row-major, of a plain floating point type or a GGUF block type.
    case dense(TensorView)
    /// Codes with a scale for each group of columns.
    case grouped(GroupedWeight)

    package var outputs: Int {
        switch self {
        case .dense(let view): view.shape.rank > 0 ? view.shape[0] : 0
        case .grouped(let weight): weight.outputs
        }
    }

    package var inputs: Int {
        switch self {
        case .dense(let view): view.shape.rank > 1 ? view.shape[1] : 0
        case .grouped(let weight): weight.inputs
        }
    }
}

/// A matrix of small codes: `w[n, j] = (value(code[n, j]) - zero[n, g]) * scale[n, g]` with `g = j / groupSize`, and column `j` multiplies
/// input `inputOrder[j]` (input `j` where there is no order).
package struct GroupedWeight: Sendable {
    package enum Code: Sendable, Equatable {
        /// A nibble 0…15; two a byte, the even column low. 2- and 3-bit codes are stored so as well.
        case uint4
        /// A byte in two's complement. Unsigned 8-bit codes come here with 128 taken off code and zero.
        case int8
        /// A byte, OCP FP8 E4M3 without infinities.
        case float8
        /// A nibble as in `uint4` that picks one of 16 values (NF4, FP4, MXFP4).
        case table([Float])
    }

    package var code: Code
    package var outputs: Int
    package var inputs: Int
    /// Columns that share a scale, the last group perhaps fewer; `inputs` where a row has one scale.
    package var groupSize: Int
    /// u8 `[outputs, bytesPerRow]`.
    package var codes: TensorView
    /// f32 `[outputs, groups]`.
    package var scales: TensorView
    /// f32 `[outputs, groups]`; nil where all are 0.
    package var zeros: TensorView?
    /// `[inputs]`, a permutation; nil for the identity.
    package var inputOrder: [Int32]?
    /// Bits of a code in the file, for reports and plans: 2, 3, 4 or 8.
    package var storedBits: Int

    package init(
        code: Code, outputs: Int, inputs: Int, groupSize: Int, codes: TensorView, scales: TensorView, zeros: TensorView? = nil,
        inputOrder: [Int32]? = nil, storedBits: Int
    ) {
        self.code = code
        self.outputs = outputs
        self.inputs = inputs
        self.groupSize = groupSize
        self.codes = codes
        self.scales = scales
        self.zeros = zeros
        self.inputOrder = inputOrder
        self.storedBits = storedBits
    }

    /// Scales in a row.
    package var groups: Int { groupSize > 0 ? (inputs + groupSize - 1) / groupSize : 0 }

    /// Bytes of a row of codes.
    package var bytesPerRow: Int {
        switch code {
        case .uint4, .table: (inputs + 1) / 2
        case .int8, .float8: inputs
        }
    }
}
