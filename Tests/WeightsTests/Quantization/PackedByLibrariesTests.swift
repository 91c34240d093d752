import FoundationEssentials
import Tensors
import Testing
import Weights

/// Layers packed by the libraries that write such files (`Tests/Fixtures/quantization`), against what these libraries expand them to.
struct PackedByLibrariesTests {
    static let folder = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/Fixtures/quantization/"

    static let checkpoints = ["gptq", "gptq-v2", "awq-gemv", "compressed-tensors", "bitsandbytes-nf4", "bitsandbytes-int8"]

    @Test(arguments: checkpoints) func dequantizes(_ name: String) throws {
        let weights = try Checkpoint.open(Self.folder + name + "/model.safetensors").weights()
        let expected = try SafetensorsFile(path: Self.folder + name + "/expected.safetensors")
        #expect(!expected.records.isEmpty)
        for record in expected.records {
            let (outputs, inputs) = (record.shape[0], record.shape[1])
            let weight = try weights.linear(record.name, outputs: outputs, inputs: inputs)
            #expect(weight.outputs == outputs && weight.inputs == inputs)
            let values = try weight.floats(), wanted = try record.view().floats()
            // bitsandbytes may fuse or reorder its few operations; all others are one product of exact numbers.
            let slack: Float = name.hasPrefix("bitsandbytes") ? 3e-7 : 0
            let isEqual = zip(values, wanted).allSatisfy { abs($0 - $1) <= slack * abs($1) }
            #expect(values.count == wanted.count && isEqual, "\(record.name)")
            if case .grouped(let grouped) = weight { try grouped.check() }
            #expect(try weights.bias(record.name, outputs: outputs) == nil)
        }
        try weights.requireAllUsed()
    }

    /// Forms that codes come in, and that nothing is copied which need not be.
    @Test func forms() throws {
        let gptq = try Checkpoint.open(Self.folder + "gptq").weights()["model"]["layers"][0]
        func grouped(_ scope: WeightScope, _ name: String, _ outputs: Int = 32, _ inputs: Int = 64) throws -> GroupedWeight {
            guard case .grouped(let weight) = try scope.linear(name, outputs: outputs, inputs: inputs) else { throw TensorError("\(name) is dense") }
            return weight
        }
        for (name, bits, size, code) in [("two", 2, 16, .uint4), ("three", 3, 16, .uint4), ("four", 4, 16, .uint4), ("eight", 8, 16, .int8), ("whole", 4, 64, GroupedWeight.Code.uint4)] {
            let weight = try grouped(gptq, name)
            #expect(weight.storedBits == bits && weight.groupSize == size && weight.code == code && weight.inputOrder == nil)
        }
        #expect(try grouped(gptq, "shuffled").inputOrder != nil)
        // 16, 32 and 16 inputs are groups of 16; 7, 30 and 27 have nothing in common and are spelled out.
        #expect(try grouped(gptq, "uneven").groupSize == 16)
        guard case .dense(let ragged) = try gptq.linear("ragged", outputs: 32, inputs: 64) else {
            Issue.record("ragged groups were kept")
            return
        }
        #expect(ragged.dtype == .f32)

        let packed = try Checkpoint.open(Self.folder + "compressed-tensors").weights()["model"]["layers"][0]
        let window = try grouped(packed, "int4", 40)
        #expect(isWindow(window.codes))
        #expect(try grouped(packed, "int8", 40).zeros == nil)
        #expect(try grouped(packed, "fp8row", 40).code == .float8)
        #expect(try grouped(packed, "nvfp4", 40).code == .table(fp4Values))
        #expect(try grouped(packed, "fp8block", 40).groupSize == 32)

        let blocks = try Checkpoint.open(Self.folder + "bitsandbytes-nf4").weights()["model.layers.0"]
        #expect(try grouped(blocks, "nf4", 24, 128).groupSize == 64)
        #expect(try grouped(blocks, "crossing", 24, 96).groupSize == 32)
        guard case .dense = try blocks.linear("odd", outputs: 5, inputs: 15) else {
            Issue.record("blocks of 64 were kept in rows of 15")
            return
        }
    }

    @Test func report() throws {
        let weights = try Checkpoint.open(Self.folder + "gptq").weights()["model.layers.0"]
        for name in ["four", "shuffled", "eight"] { _ = try weights.linear(name, outputs: 32, inputs: 64) }
        let report = weights.quantizationReport
        #expect(report.isQuantized)
        #expect(report.entries.map(\.modules) == [1, 1, 1])
        // 2 × 32 × 4 tables of f32, and codes; an order of 64 inputs.
        #expect(report.entries.map(\.byteCount) == [32 * 32 + 1024, 32 * 32 + 1024 + 256, 32 * 64 + 1024])
        #expect(
            report.description
                == "GPTQ 4-bit in groups of 16: 1 layer, 0 MB; GPTQ 4-bit in groups of 16, inputs reordered: 1 layer, 0 MB; GPTQ 8-bit in groups of 16: 1 layer, 0 MB")
    }
}
