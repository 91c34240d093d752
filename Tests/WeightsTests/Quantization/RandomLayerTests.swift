import Tensors
import Testing
import Weights

/// Layers whose tensors have random types, shapes and contents close to what they should be: each is read whole or refused, never a crash.
struct RandomLayerTests {
    private static let schemes = [
        #"{"quant_method": "awq", "bits": 4, "group_size": 16}"#,
        #"{"quant_method": "awq", "bits": 4, "group_size": 16, "version": "gemv"}"#,
        #"{"quant_method": "gptq", "bits": 4, "group_size": 16}"#,
        #"{"quant_method": "gptq", "bits": 3, "group_size": -1}"#,
        #"{"quant_method": "fp8"}"#,
        #"{"quant_method": "fp8", "weight_block_size": [8, 16]}"#,
        #"{"quant_method": "bitsandbytes", "load_in_4bit": true}"#,
        #"{"quant_method": "modelopt", "quant_algo": "NVFP4"}"#,
    ] + [
        ("pack-quantized", "int", 4, 16), ("pack-quantized", "int", 8, 32), ("int-quantized", "int", 8, 32), ("float-quantized", "float", 8, 32),
        ("nvfp4-pack-quantized", "float", 4, 16), ("mxfp4-pack-quantized", "float", 4, 32),
    ].map { format, type, bits, size in
        #"{"quant_method": "compressed-tensors", "format": "\#(format)", "config_groups": {"g": {"targets": ["Linear"], "weights": "#
            + #"{"num_bits": \#(bits), "type": "\#(type)", "group_size": \#(size)}}}}"#
    }

    /// Usual types and shapes of a layer `[8, 32]`, of all writers.
    private static let usual: [(name: String, dtype: DType, shapes: [Shape])] = [
        ("qweight", .i32, [[32, 1], [4, 8], [8, 4], [3, 8]]), ("qzeros", .i32, [[2, 1], [1, 1], [8, 1]]), ("scales", .f16, [[2, 8], [1, 8], [8, 8]]),
        ("g_idx", .i32, [[32]]), ("weight_packed", .i32, [[8, 4], [8, 8]]), ("weight_packed", .u8, [[8, 16]]),
        ("weight_scale", .bf16, [[8, 2], [8, 1], [1], []]), ("weight_scale", .f8_e4m3, [[8, 2]]), ("weight_scale", .u8, [[8, 1]]),
        ("weight_shape", .i64, [[2]]), ("weight_zero_point", .i32, [[1, 2], [2, 1]]), ("weight_zero_point", .i8, [[8, 1], [8, 2]]),
        ("weight_g_idx", .i32, [[32]]), ("weight_global_scale", .f32, [[1]]), ("weight_scale_2", .f32, [[]]), ("weight_scale_inv", .f32, [[1, 2]]),
        ("weight", .f8_e4m3, [[8, 32]]), ("weight", .i8, [[8, 32]]), ("weight", .u8, [[128, 1], [8, 16]]), ("weight", .bf16, [[8, 32]]),
        ("SCB", .f32, [[8]]), ("weight.absmax", .f32, [[4]]), ("weight.absmax", .u8, [[4]]), ("weight.quant_map", .f32, [[16]]),
        ("weight.nested_absmax", .f32, [[1]]), ("weight.nested_quant_map", .f32, [[256]]),
    ]

    @Test(arguments: schemes.indices) func neverCrashes(_ index: Int) throws {
        let scheme = try withCheckpoint(Self.schemes[index], [("a.weight_scale", try zeros(.f32, []))]) { weights in try weights.quantization() }
        var random = SplitMix(state: 1 + UInt64(index))
        let descriptions = [#"{"blocksize": 64, "shape": [8, 32]}"#, #"{"blocksize": 64, "shape": [8, 32], "nested_blocksize": 256}"#]
        var read = 0
        for _ in 0..<2000 {
            var tensors: [String: TensorView] = [:]
            for entry in Self.usual where random.below(3) > 0 {
                // One in twenty has another type, one in ten another extent.
                let dtype = random.below(20) == 0 ? [.f32, .i8, .i32, .u8, .f64][random.below(5)] : entry.dtype
                var shape = entry.shapes[random.below(entry.shapes.count)]
                if shape.rank > 0, random.below(10) == 0 { shape[random.below(shape.rank)] = random.below(40) }
                let isSmall = entry.name.hasSuffix("g_idx")
                tensors[entry.name] = try TensorView.make(dtype, shape) { bytes in
                    for place in bytes.indices { bytes[place] = isSmall ? (place % 4 == 0 ? UInt8(random.below(2)) : 0) : UInt8(random.below(256)) }
                }
            }
            // Most layers of a kind have only that kind's tensors.
            if random.below(4) > 0 {
                let kept = random.below(3)
                tensors = tensors.filter { name, _ in kept == 0 ? name.hasPrefix("q") || name == "scales" || name == "g_idx" : !name.hasPrefix("q") }
                if kept == 1 { tensors["weight_packed"] = nil }
            }
            if random.below(2) == 0 {
                let text = Array(descriptions[random.below(2)].utf8)
                tensors["weight.quant_state.bitsandbytes__nf4"] = try view(.u8, [text.count], text)
            }
            let file = try SafetensorsFile(file: try mapped(SafetensorsWriter.bytes(tensors.map { ("a." + $0.key, $0.value) })))
            let weights = try Checkpoint(file).weights(quantization: scheme)
            do {
                let weight = try weights.linear("a", outputs: 8, inputs: 32)
                #expect(try weight.floats().count == 256)
                if case .grouped(let grouped) = weight { try grouped.check() }
                read += 1
            } catch is LoadError {}
        }
        #expect(read > 0)
    }
}

/// Sebastiano Vigna's SplitMix64.
private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
}
