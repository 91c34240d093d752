import FoundationEssentials
import JSON
import Tensors
import Testing
import Weights

/// Every quantised model fixture: each linear layer is read, and its first rows are those of the exact dequantisation in `golden.safetensors`.
@Suite(.enabled(if: fixtures != nil, "no fixtures: set NEEDLETAIL_FIXTURES to their folder"))
struct QuantizedFixtureTests {
    static let models = FixtureTests.models.filter { name in
        ["awq", "gptq", "ct-", "fp8", "mxfp4"].contains { name.contains($0) } && !name.contains("gguf")
    }

    @Test func thereAreModels() { #expect(Self.models.count >= 20) }

    @Test(arguments: models) func dequantizes(_ model: String) throws {
        let folder = try #require(fixtures) + "/models/" + model
        let checkpoint = try Checkpoint.open(folder)
        let golden = try SafetensorsFile(path: folder + "/golden.safetensors")
        let weights = checkpoint.weights()
        let json = try ConfigReader(file: folder + "/golden.json")
        let method = try json.string("method")
        #expect(try weights.quantization().method != .none)
        // Rows of the golden tensors, by module.
        var checked = 0
        for record in golden.records where record.name.hasPrefix("dequant.") {
            let expected = try record.view()
            let values = try expected.floats(), columns = expected.shape[1]
            if method == "mxfp4" {
                // The first four inputs of expert 0, [inputs, outputs].
                let name = String(record.name.dropFirst("dequant.".count))
                let shape = try #require(checkpoint.record(name + "_blocks")).shape
                let inputs = shape[2] * 32
                let experts = try weights.mxfp4Experts(name, count: shape[0], outputs: columns, inputs: inputs)
                let floats = try experts[0].floats()
                for input in 0..<expected.shape[0] {
                    #expect((0..<columns).allSatisfy { floats[$0 * inputs + input] == values[input * columns + $0] })
                }
            } else {
                let name = String(record.name.dropFirst("dequant.".count).dropLast(".weight".count))
                let outputs = try outputs(of: name, in: checkpoint, method)
                let weight = try weights.linear(name, outputs: outputs, inputs: columns)
                #expect(weight.outputs == outputs && weight.inputs == columns)
                #expect(Array(try weight.floats().prefix(values.count)) == values)
            }
            checked += 1
        }
        #expect(checked >= 3)
        // All other tensors belong to layers too, or are plain.
        var modules: Set<String> = []
        for name in checkpoint.names {
            guard let dot = name.lastIndex(of: "."), name.contains("layers."), !name.contains("norm") else { continue }
            let module = String(name[..<dot])
            guard modules.insert(module).inserted, let (outputs, inputs) = try size(of: module, in: checkpoint) else { continue }
            _ = try weights.linear(module, outputs: outputs, inputs: inputs)
            _ = try weights.bias(module, outputs: outputs)
        }
        let left = weights.unused(ignoring: [
            "*norm.weight", "*layernorm.weight", "model.embed_tokens.weight", "lm_head.weight", "*.mlp.experts.*", "*e_score_correction_bias", "*.sinks",
        ])
        #expect(left == [])
        #expect(weights.quantizationReport.isQuantized)
    }

    private func outputs(of module: String, in checkpoint: Checkpoint, _ method: String) throws -> Int {
        try #require(try size(of: module, in: checkpoint)).outputs
    }

    /// What the shapes of the files say, each layout in its way.
    private func size(of module: String, in checkpoint: Checkpoint) throws -> (outputs: Int, inputs: Int)? {
        if let weight = checkpoint.record(module + ".weight")?.shape { return weight.rank == 2 ? (weight[0], weight[1]) : nil }
        if checkpoint.contains(module + ".weight_shape") {
            let shape = try checkpoint.tensor(module + ".weight_shape").integers()
            return (shape[0], shape[1])
        }
        guard let codes = checkpoint.record(module + ".qweight")?.shape, let scales = checkpoint.record(module + ".scales")?.shape else { return nil }
        if let indices = checkpoint.record(module + ".g_idx")?.shape { return (scales[1], indices[0]) }
        return (scales[1], codes[0])
    }
}
