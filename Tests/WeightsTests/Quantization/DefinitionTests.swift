import Tensors
import Testing
import Weights

/// Layouts without fixtures, built here from their definitions.
struct DefinitionTests {
    /// Model Optimizer's NVFP4: E4M3 scales in groups of 16 times one f32.
    @Test func nvfp4() throws {
        let codes = (0..<64).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
        // 1.0, 0.5, 2.0 and 1.5 in E4M3; all exact.
        let scales: [UInt8] = [0x38, 0x30, 0x40, 0x3C, 0x38, 0x30, 0x40, 0x3C], scaleValues: [Float] = [1, 0.5, 2, 1.5, 1, 0.5, 2, 1.5]
        let tensors: [(String, TensorView)] = [
            ("a.weight", try view(.u8, [4, 16], codes)), ("a.weight_scale", try view(.f8_e4m3, [4, 2], scales)),
            ("a.weight_scale_2", try view(.f32, [], [Float(0.25)])), ("a.input_scale", try view(.f32, [], [Float(3)])),
        ]
        let magnitudes: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
        try withCheckpoint(#"{"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16, "ignore": ["lm_head"]}"#, tensors) { weights in
            let values = try weights.linear("a", outputs: 4, inputs: 32).floats()
            for (place, value) in values.enumerated() {
                let nibble = codes[place / 2] >> (place % 2 == 0 ? 0 : 4) & 15
                let wanted = magnitudes[Int(nibble & 7)] * (nibble > 7 ? -1 : 1) * scaleValues[place / 16] * 0.25
                #expect(value == wanted)
            }
            try weights.requireAllUsed()
        }
    }

    /// FP8 blocks with scales that are powers of two, and an axis of one after each as Model Optimizer has it; both edges ragged.
    @Test(arguments: [false, true]) func float8Blocks(hasAxesOfOne: Bool) throws {
        let outputs = 130, inputs = 140
        let codes = (0..<outputs * inputs).map { UInt8(truncatingIfNeeded: $0 % 0x78) }
        // 2⁻¹, 2⁰, 2¹, 2³.
        let exponents: [UInt8] = [126, 127, 128, 130], factors: [Float] = [0.5, 1, 2, 8]
        let scale = try view(.f8_e8m0, hasAxesOfOne ? [2, 1, 2, 1] : [2, 2], exponents)
        let name = hasAxesOfOne ? "weight_scale" : "weight_scale_inv"
        let config = hasAxesOfOne ? #"{"quant_method": "modelopt", "quant_algo": "FP8_PB_WO"}"# : #"{"quant_method": "fp8", "weight_block_size": [128, 128]}"#
        try withCheckpoint(config, [("a.weight", try view(.f8_e4m3, [outputs, inputs], codes)), ("a." + name, scale)]) { weights in
            let values = try weights.linear("a", outputs: outputs, inputs: inputs).floats()
            let plain = try view(.f8_e4m3, [outputs, inputs], codes).floats()
            let isEqual = values.indices.allSatisfy { place in
                let row = place / inputs, column = place % inputs
                return values[place] == plain[place] * factors[row / 128 * 2 + column / 128]
            }
            #expect(isEqual)
        }
    }

    /// GPTQ rows of 36 inputs end inside a word; zeros of 15 wrap to 0.
    @Test func gptqTails() throws {
        let outputs = 8, inputs = 36
        func code(_ output: Int, _ input: Int) -> UInt32 { UInt32((output * 7 + input * 5) % 16) }
        var words = [UInt32](repeating: 0, count: 5 * outputs)
        for output in 0..<outputs {
            for input in 0..<inputs {
                let shift = UInt32(4 * (input % 8))
                words[input / 8 * outputs + output] |= code(output, input) << shift
            }
        }
        // Stored zeros 15, 0, 1, … 6: the real ones are 0, 1, 2, … 7.
        let zeroWord: UInt32 = 0x6543_210F
        let scales: [Float] = (0..<outputs).map { Float($0 + 1) }
        let tensors: [(String, TensorView)] = [
            ("a.qweight", try view(.i32, [5, outputs], words)), ("a.qzeros", try view(.i32, [1, 1], [zeroWord])),
            ("a.scales", try view(.f32, [1, outputs], scales)), ("a.bias", try view(.f16, [outputs], [UInt16](repeating: 0x8000, count: outputs))),
        ]
        try withCheckpoint(#"{"quant_method": "gptq", "bits": 4, "group_size": -1}"#, tensors) { weights in
            let weight = try weights.linear("a", outputs: outputs, inputs: inputs), values = try weight.floats()
            for output in 0..<outputs {
                for input in 0..<inputs {
                    let wanted = (Float(code(output, input)) - Float(output)) * scales[output]
                    #expect(values[output * inputs + input] == wanted)
                }
            }
            // Minus zeros are no bias either.
            let bias = try weights.bias("a", outputs: outputs)
            #expect(bias == nil)
            try weights.requireAllUsed()
        }
    }

    /// AWQ of sizes that fill no tile: 5 and 21 words of outputs, inputs that end inside a block of 8.
    @Test(arguments: [(40, 140, 20), (168, 300, 100), (8, 4, 4)]) func awqTails(outputs: Int, inputs: Int, size: Int) throws {
        let groups = inputs / size, words = outputs / 8
        func code(_ output: Int, _ input: Int) -> Int { (output * 7 + input * 5 + output * input) % 16 }
        func zero(_ output: Int, _ group: Int) -> Int { (output * 3 + group * 11) % 16 }
        func scale(_ output: Int, _ group: Int) -> Float { Float(1 + output + outputs * group) }
        // Bit 4 · position of a word is output [0, 2, 4, 6, 1, 3, 5, 7][position].
        let outputAt = [0, 2, 4, 6, 1, 3, 5, 7]
        func packed(_ rows: Int, _ value: (Int, Int) -> Int) -> [UInt32] {
            (0..<rows * words).map { place in
                (0..<8).reduce(UInt32(0)) { word, position in
                    word | UInt32(value(place % words * 8 + outputAt[position], place / words)) << UInt32(4 * position)
                }
            }
        }
        let scales = (0..<groups * outputs).map { scale($0 % outputs, $0 / outputs) }
        let tensors: [(String, TensorView)] = [
            ("a.qweight", try view(.i32, [inputs, words], packed(inputs, code))), ("a.qzeros", try view(.i32, [groups, words], packed(groups, zero))),
            ("a.scales", try view(.f32, [groups, outputs], scales)),
        ]
        let config = #"{"quant_method": "awq", "bits": 4, "group_size": \#(size)}"#
        let values = try withCheckpoint(config, tensors) { weights in try weights.linear("a", outputs: outputs, inputs: inputs).floats() }
        let isEqual = values.indices.allSatisfy { place in
            let output = place / inputs, input = place % inputs
            return values[place] == Float(code(output, input) - zero(output, input / size)) * scale(output, input / size)
        }
        #expect(values.count == outputs * inputs && isEqual)
    }

    /// A checkpoint of which only keys and values are quantised.
    @Test(arguments: [
        #"{"quant_method": "modelopt", "quant_algo": null, "kv_cache_quant_algo": "FP8"}"#,
        #"{"quant_method": "compressed-tensors", "config_groups": {}, "kv_cache_scheme": {"num_bits": 8, "type": "float"}}"#,
    ])
    func cacheOnly(_ config: String) throws {
        let tensors: [(String, TensorView)] = [
            ("k_proj.weight", try view(.f32, [1, 2], [1, 2] as [Float])), ("k_proj.k_scale", try view(.f32, [], [Float(0.25)])),
        ]
        try withCheckpoint(config, tensors) { weights in
            let values = try weights.linear("k_proj", outputs: 1, inputs: 2).floats(), scheme = try weights.quantization()
            #expect(values == [1, 2] && scheme.cacheScheme != nil)
            try weights.requireAllUsed()
            let scales = try weights.cacheScales()
            #expect(scales.key == 0.25 && scales.value == nil)
        }
    }

    @Test func dense() throws {
        let tensors: [(String, TensorView)] = [
            ("a.weight", try view(.f32, [2, 3], [1, 2, 3, 4, 5, 6] as [Float])), ("a.bias", try view(.f32, [2], [0, 1] as [Float])),
            ("attn.k_proj.k_scale", try view(.f32, [1], [Float(0.5)])), ("attn.v_scale", try view(.f32, [], [Float(-1)])),
        ]
        try withCheckpoint(nil, tensors) { weights in
            let plain = try weights.linear("a", outputs: 2, inputs: 3).floats(), own = try weights["a"].linear("", outputs: 2, inputs: 3)
            let turned = try weights.linear("a", outputs: 3, inputs: 2, isTransposed: true).floats()
            #expect(plain == [1, 2, 3, 4, 5, 6] && turned == [1, 4, 2, 5, 3, 6] && own.outputs == 2)
            let bias = try weights.bias("a", outputs: 2), none = try weights.bias("b", outputs: 2)
            let values = try bias?.floats()
            #expect(values == [0, 1] && none == nil)
            let scales = try weights["attn"].cacheScales()
            #expect(scales.key == 0.5 && scales.value == nil)
            try weights.requireAllUsed()
            #expect(!weights.quantizationReport.isQuantized)
        }
    }
}
