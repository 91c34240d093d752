package import Tensors

/// Which type each tensor of a GGUF file gets. The mixes are llama.cpp's `_M` kinds without an importance matrix: more bits where the loss
/// is felt most (output head, values, down projections of the first and last eighth of the layers and of every third between).
package struct GGUFMix: Sendable, Equatable {
    package var name: String
    package var base: DType
    /// llama.cpp's number of the mix, `general.file_type`.
    package var fileType: UInt32

    package static let all: [GGUFMix] = [
        .init("f16", .f16, 1), .init("bf16", .bf16, 32), .init("q8_0", .q8_0, 7), .init("q6_k", .q6_k, 18), .init("q5_k", .q5_k, 17),
        .init("q5_1", .q5_1, 9), .init("q5_0", .q5_0, 8), .init("q4_k", .q4_k, 15), .init("q4_1", .q4_1, 3), .init("q4_0", .q4_0, 2),
        .init("iq4_nl", .iq4_nl, 25), .init("q3_k", .q3_k, 12), .init("q2_k", .q2_k, 10), .init("mxfp4", .mxfp4, 38),
    ]

    private init(_ name: String, _ base: DType, _ fileType: UInt32) {
        self.name = name
        self.base = base
        self.fileType = fileType
    }

    package struct Model: Sendable {
        package var layers: Int
        package var headsPerKVHead: Int
        package var hasHead: Bool
        package var experts: Int

        package init(layers: Int, headsPerKVHead: Int, hasHead: Bool, experts: Int) {
            self.layers = layers
            self.headsPerKVHead = headsPerKVHead
            self.hasHead = hasHead
            self.experts = experts
        }
    }

    /// - Parameters:
    ///   - name: in GGUF's naming.
    ///   - current: what the source stores; kept for what is never quantised.
    package func type(_ name: String, shape: Shape, current: DType, in model: Model) -> DType {
        guard shape.rank >= 2, name.hasSuffix(".weight"), let columns = shape.dimensions.last else { return .f32 }
        if name.contains("norm") || name.contains("ffn_gate_inp") { return .f32 }
        if !base.isBlockQuantised { return base }
        return fitting(wanted(name, shape, model), columns: columns)
    }

    private func wanted(_ name: String, _ shape: Shape, _ model: Model) -> DType {
        if name == "output.weight" || (name == "token_embd.weight" && !model.hasHead) { return base == .q8_0 ? .q8_0 : .q6_k }
        if base == .mxfp4 { return shape.rank == 3 || model.experts == 0 ? .mxfp4 : .q8_0 }
        let parts = name.split(separator: ".")
        guard parts.count >= 3, parts[0] == "blk", let layer = Int(parts[1]) else { return base }
        let more = layer < model.layers / 8 || layer >= 7 * model.layers / 8 || (layer - model.layers / 8) % 3 == 2
        switch (base, parts[2]) {
        case (.q4_k, "attn_v"), (.q5_k, "attn_v"), (.q4_k, "ffn_down"), (.q5_k, "ffn_down"): return more ? .q6_k : base
        case (.q3_k, "attn_v"): return layer < 2 ? .q5_k : .q4_k
        case (.q3_k, "ffn_down"): return layer < model.layers / 16 ? .q5_k : .q4_k
        case (.q3_k, "attn_output"): return .q4_k
        case (.q2_k, "attn_v"): return model.headsPerKVHead >= 4 ? .q4_k : .q3_k
        case (.q2_k, "ffn_down"), (.q2_k, "attn_output"): return .q3_k
        case (.iq4_nl, "attn_v"): return model.headsPerKVHead >= 4 ? .q5_k : base
        case (.iq4_nl, "ffn_down"): return layer < model.layers / 8 ? .q5_k : base
        default: return base
        }
    }

    /// Rows that do not fill blocks of 256 take a type of blocks of 32 with no fewer bits; those that do not fill these stay in 16 bits.
    private func fitting(_ type: DType, columns: Int) -> DType {
        if columns % type.blockSize == 0 { return type }
        guard columns % 32 == 0 else { return .f16 }
        switch type {
        case .q2_k, .q3_k: return .iq4_nl
        case .q4_k: return .q5_0
        case .q5_k: return .q5_1
        default: return .q8_0
        }
    }
}
