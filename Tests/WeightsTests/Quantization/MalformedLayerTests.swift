import Tensors
import Testing
import Weights

/// Files that contradict their configuration or themselves: each is an error that names the tensor, none a crash.
struct MalformedLayerTests {
    private static let gptq = #"{"quant_method": "gptq", "bits": 4, "group_size": 16}"#
    private static let awq = #"{"quant_method": "awq", "bits": 4, "group_size": 16}"#

    /// A good GPTQ layer `[8, 32]` with some tensors exchanged or, where nil, left out.
    private func gptq(_ changes: [String: TensorView] = [:], without missing: String? = nil) throws -> [(String, TensorView)] {
        var tensors: [String: TensorView] = [
            "qweight": try zeros(.i32, [4, 8]), "qzeros": try zeros(.i32, [2, 1]), "scales": try zeros(.f16, [2, 8]),
            "g_idx": try view(.i32, [32], (0..<32).map { Int32($0 / 16) }),
        ]
        for (name, tensor) in changes { tensors[name] = tensor }
        if let missing { tensors[missing] = nil }
        return tensors.sorted { $0.key < $1.key }.map { ("a." + $0.key, $0.value) }
    }

    private func expect(_ config: String?, _ tensors: [(String, TensorView)], _ reasons: String..., outputs: Int = 8, inputs: Int = 32) throws {
        try withCheckpoint(config, tensors) { weights in
            let found = message { _ = try weights.linear("a", outputs: outputs, inputs: inputs) }
            #expect(!found.contains("\n"))
            for reason in reasons { #expect(found.contains(reason), "\(found)") }
        }
    }

    @Test func goodLayer() throws {
        try withCheckpoint(Self.gptq, try gptq()) { weights in
            // Codes and zeros of 0, stored less one.
            let values = try weights.linear("a", outputs: 8, inputs: 32).floats()
            #expect(values == [Float](repeating: 0, count: 256))
        }
    }

    @Test func shapesAndTypes() throws {
        try expect(Self.gptq, try gptq(["qweight": try zeros(.i32, [8, 8])]), "a.qweight", "[8, 8]", "[4, 8]")
        try expect(Self.gptq, try gptq(["qweight": try zeros(.f32, [4, 8])]), "a.qweight", "f32", "i32")
        try expect(Self.gptq, try gptq(["qweight": try zeros(.i32, [4, 0])]), "a.qweight", "[4, 0]")
        try expect(Self.gptq, try gptq(["scales": try zeros(.f16, [3, 8])]), "a.scales", "[3, 8]", "[2, 8]")
        try expect(Self.gptq, try gptq(["scales": try zeros(.i32, [2, 8])]), "a.scales", "i32")
        try expect(Self.gptq, try gptq(["qzeros": try zeros(.i32, [2, 2])]), "a.qzeros")
        try expect(Self.gptq, try gptq(without: "scales"), "a.scales", "missing")
        try expect(Self.gptq, try gptq(without: "qzeros"), "a.qzeros", "missing")
        try expect(#"{"quant_method": "gptq", "bits": 8, "group_size": 16}"#, try gptq(), "a.qweight", "[8, 8]")
        try expect(#"{"quant_method": "gptq", "bits": 4, "group_size": 8}"#, try gptq(), "a.qzeros")
        try expect(Self.awq, try gptq(), "a.qweight")
        try expect(Self.awq, try gptq(), "do not fill words", outputs: 7)
    }

    @Test func groupIndices() throws {
        func indices(_ change: (Int) -> Int32) throws -> [String: TensorView] { ["g_idx": try view(.i32, [32], (0..<32).map(change))] }
        try expect(Self.gptq, try gptq(try indices { $0 == 7 ? 2 : 0 }), "a.g_idx", "input 7", "2 groups")
        try expect(Self.gptq, try gptq(try indices { $0 == 7 ? -1 : 0 }), "a.g_idx", "group -1")
        try expect(Self.gptq, try gptq(try indices { $0 == 7 ? .max : 0 }), "a.g_idx")
        try expect(Self.gptq, try gptq(["g_idx": try zeros(.i32, [31])]), "a.g_idx", "[31]")
        try expect(Self.gptq, try gptq(["g_idx": try zeros(.f32, [32])]), "a.g_idx", "f32")
        // One group may hold all inputs, whatever the others were for.
        try withCheckpoint(Self.gptq, try gptq(try indices { _ in 1 })) { weights in
            guard case .grouped(let weight) = try weights.linear("a", outputs: 8, inputs: 32) else { throw TensorError("is dense") }
            #expect(weight.groupSize == 32 && weight.inputOrder == nil)
        }
    }

    @Test func sizesFromConfigurations() throws {
        for (outputs, inputs) in [(0, 32), (8, 0), (-8, 32), (8, -1), (Int.max, 32), (8, Int.max), (Int.min, Int.min)] {
            try expect(Self.gptq, try gptq(), "a", outputs: outputs, inputs: inputs)
        }
        try expect(Self.gptq, try gptq(), "a.qweight", outputs: 0x7FFF_FFFF, inputs: 0x7FFF_FFFF)
    }

    @Test func contradictions() throws {
        let plain = [("a.weight", try zeros(.bf16, [8, 32]))]
        try expect(Self.gptq, plain, "says that weights are quantised (gptq)", "no quantised tensors")
        try expect(#"{"quant_method": "bitsandbytes", "load_in_4bit": true}"#, plain, "no quantised tensors")
        try expect(nil, try gptq(), "no quantization_config")
        try expect(nil, [("a.weight", try zeros(.f8_e4m3, [8, 32])), ("a.weight_scale", try zeros(.f32, []))], "FP8", "no quantization_config")
        try expect(#"{"quant_method": "fp8"}"#, try gptq(), "AWQ or GPTQ", "fp8 with 8 bits")
        let packed = #"{"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"g": {"targets": ["re:b"], "weights": {"num_bits": 4}}, "h": {"targets": ["re:c"], "weights": {"num_bits": 8}}}}"#
        try expect(packed, [("a.weight_packed", try zeros(.i32, [8, 4])), ("a.weight_scale", try zeros(.f32, [8, 1]))], "no group of")
        // A plain layer among quantised ones is nothing special.
        try withCheckpoint(Self.gptq, try gptq() + [("b.weight", try zeros(.bf16, [8, 32]))]) { weights in
            let weight = try weights.linear("b", outputs: 8, inputs: 32)
            #expect(weight.byteCount == 512)
        }
    }

    @Test func compressedTensors() throws {
        func config(_ format: String, _ weights: String) -> String {
            #"{"quant_method": "compressed-tensors", "format": "\#(format)", "config_groups": {"g": {"targets": ["Linear"], "weights": {\#(weights)}}}}"#
        }
        let four = config("pack-quantized", #""num_bits": 4, "strategy": "group", "group_size": 16"#)
        let packed = ("a.weight_packed", try zeros(.i32, [8, 4])), scale = ("a.weight_scale", try zeros(.bf16, [8, 2]))
        let good = try withCheckpoint(four, [packed, scale]) { weights in try weights.linear("a", outputs: 8, inputs: 32) }
        #expect(good.inputs == 32)
        try expect(four, [packed], "a.weight_scale", "missing")
        try expect(four, [packed, ("a.weight_scale", try zeros(.bf16, [8, 1]))], "a.weight_scale", "[8, 1]")
        try expect(four, [packed, scale, ("a.weight_shape", try view(.i64, [2], [Int64(8), 33]))], "a.weight_shape")
        try expect(four, [packed, scale, ("a.weight_shape", try view(.i64, [2], [Int64(-8), -32]))], "a.weight_shape")
        try expect(four, [packed, scale, ("a.weight_zero_point", try zeros(.i32, [2, 2]))], "a.weight_zero_point")
        try expect(config("pack-quantized", #""num_bits": 4, "strategy": "group", "group_size": 16, "symmetric": false"#), [packed, scale], "a.weight_zero_point", "missing")
        try expect(config("pack-quantized", #""num_bits": 8, "strategy": "channel""#), [packed, scale], "a.weight_packed")
        let nv = config("nvfp4-pack-quantized", #""num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16"#)
        let nibbles = ("a.weight_packed", try zeros(.u8, [8, 16])), e4m3 = ("a.weight_scale", try zeros(.f8_e4m3, [8, 2]))
        try expect(nv, [nibbles, e4m3], "a.weight_scale_2", "missing")
        try expect(nv, [nibbles, e4m3, ("a.weight_global_scale", try zeros(.f32, [2]))], "a.weight_global_scale", "2 elements")
        let block = config("float-quantized", #""num_bits": 8, "type": "float", "strategy": "block", "block_structure": [4, 16]"#)
        try expect(block, [("a.weight", try zeros(.f8_e4m3, [8, 32])), ("a.weight_scale", try zeros(.f32, [2, 3]))], "a.weight_scale", "[2, 3]", "[2, 2]")
        try expect(block, [("a.weight", try zeros(.f8_e4m3, [8, 32])), ("a.pre_quant_scale", try zeros(.f32, [32]))], "pre_quant_scale")
    }

    @Test func bitsandbytes() throws {
        let config = #"{"quant_method": "bitsandbytes", "load_in_4bit": true}"#
        func layer(_ state: String, bytes: Int = 128, maxima: Int = 4) throws -> [(String, TensorView)] {
            [
                ("a.weight", try zeros(.u8, [bytes, 1])), ("a.weight.absmax", try zeros(.f32, [maxima])), ("a.weight.quant_map", try zeros(.f32, [16])),
                ("a.weight.quant_state.bitsandbytes__nf4", try view(.u8, [state.utf8.count], Array(state.utf8))),
            ]
        }
        let good = #"{"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [8, 32]}"#
        let weight = try withCheckpoint(config, try layer(good)) { weights in try weights.linear("a", outputs: 8, inputs: 32) }
        #expect(weight.outputs == 8)
        try expect(config, try layer(good, bytes: 100), "a.weight", "100 bytes")
        try expect(config, try layer(good, maxima: 3), "a.weight.absmax", "[3]")
        try expect(config, try layer(#"{"blocksize": 0, "shape": [8, 32]}"#), "blocksize")
        try expect(config, try layer(#"{"blocksize": 64, "shape": [32, 8]}"#), "[32, 8]")
        try expect(config, try layer(#"{"blocksize": 64, "shape": [8, 32], "nested_blocksize": -1}"#), "nested_blocksize")
        try expect(config, try layer(#"{"blocksize": 64, "shape": [8, 32], "nested_blocksize": 256}"#), "a.weight.absmax")
        try expect(config, try layer("[1]"), "not an object")
        try expect(config, try layer("{"), "a.weight.quant_state")
        let rows = [("a.weight", try zeros(.i8, [8, 32])), ("a.SCB", try zeros(.f32, [7]))]
        try expect(config, rows, "a.SCB", "7 elements")
        try expect(config, [rows[0], ("a.SCB", try zeros(.f32, [8])), ("a.weight_format", try view(.u8, [], [UInt8(2)]))], "a.weight_format")
    }

    @Test func mxfp4() throws {
        let tensors = [("a_blocks", try zeros(.u8, [2, 8, 1, 16])), ("a_scales", try zeros(.u8, [2, 8, 1]))]
        try withCheckpoint(#"{"quant_method": "mxfp4"}"#, tensors) { weights in
            let experts = try weights.mxfp4Experts("a", count: 2, outputs: 8, inputs: 32)
            #expect(experts.count == 2)
            let tooMany = message { _ = try weights.mxfp4Experts("a", count: 3, outputs: 8, inputs: 32) }
            #expect(tooMany.contains("a_blocks"))
            let odd = message { _ = try weights.mxfp4Experts("a", count: 2, outputs: 8, inputs: 33) }
            #expect(odd.contains("33 inputs"))
        }
        let pairs: [(TensorView, TensorView)] = [
            (try zeros(.u8, [8, 0, 16]), try zeros(.u8, [8, 0])), (try zeros(.u8, [8, 1, 16]), try zeros(.u8, [8, 2])),
            (try zeros(.i8, [8, 1, 16]), try zeros(.u8, [8, 1])),
        ]
        for (blocks, scales) in pairs {
            #expect(throws: TensorError.self) { _ = try StoredWeight.mxfp4(blocks: blocks, scales: scales) }
        }
    }
}
