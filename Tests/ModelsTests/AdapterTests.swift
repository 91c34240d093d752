import Compute
import Glibc
import JSON
import Models
import Step
import Tensors
import Testing
import Weights

/// Adapters on models whose rows lie otherwise than on the hub, and adapters that do not fit.
@Suite struct AdapterTests {
    private static let heads = 2, dimension = 16, hidden = 32

    /// Deterministic values of about unit gain.
    private static func matrix(_ rows: Int, _ columns: Int, seed: Int, scale: Float = 0.2) -> [[Float]] {
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15
        return (0..<rows).map { _ in
            (0..<columns).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return (Float(state >> 40) / Float(1 << 24) - 0.5) * 2 * scale
            }
        }
    }

    private static func view(_ rows: [[Float]]) throws -> TensorView {
        let flat = rows.flatMap(\.self)
        return try .make(.f32, [rows.count, rows[0].count]) { bytes in flat.withUnsafeBytes { bytes.copyMemory(from: $0) } }
    }

    private static func vector(_ values: [Float]) throws -> TensorView {
        try .make(.f32, [values.count]) { bytes in values.withUnsafeBytes { bytes.copyMemory(from: $0) } }
    }

    /// As llama.cpp's converter does: `[heads, 2, pairs]` becomes `[heads, pairs, 2]`.
    private static func permuted(_ rows: [[Float]]) -> [[Float]] {
        rows.indices.map { row in
            let (head, place) = row.quotientAndRemainder(dividingBy: dimension)
            return rows[head * dimension + place % 2 * (dimension / 2) + place / 2]
        }
    }

    private static let shapes: [(hub: String, gguf: String, rows: Int, columns: Int)] = [
        ("model.embed_tokens", "token_embd", 40, 32), ("lm_head", "output", 40, 32), ("model.layers.0.self_attn.q_proj", "blk.0.attn_q", 32, 32),
        ("model.layers.0.self_attn.k_proj", "blk.0.attn_k", 16, 32), ("model.layers.0.self_attn.v_proj", "blk.0.attn_v", 16, 32),
        ("model.layers.0.self_attn.o_proj", "blk.0.attn_output", 32, 32), ("model.layers.0.mlp.gate_proj", "blk.0.ffn_gate", 48, 32),
        ("model.layers.0.mlp.up_proj", "blk.0.ffn_up", 48, 32), ("model.layers.0.mlp.down_proj", "blk.0.ffn_down", 32, 48),
    ]
    private static let norms = [
        ("model.norm", "output_norm"), ("model.layers.0.input_layernorm", "blk.0.attn_norm"), ("model.layers.0.post_attention_layernorm", "blk.0.ffn_norm"),
    ]

    private static func writeAdapter(_ folder: String, _ modules: [(String, outputs: Int, inputs: Int)]) throws {
        try writeText("{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 6}", to: folder + "/adapter_config.json")
        var tensors: [(String, TensorView)] = []
        for (index, module) in modules.enumerated() {
            tensors.append(("base_model.model.\(module.0).lora_A.weight", try view(matrix(3, module.inputs, seed: 100 + index))))
            tensors.append(("base_model.model.\(module.0).lora_B.weight", try view(matrix(module.outputs, 3, seed: 200 + index))))
        }
        try SafetensorsWriter.write(to: folder + "/adapter_model.safetensors", tensors)
    }

    private static func writeText(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw TinyCheckpoint.TinyError() }
        fputs(text, file)
        fclose(file)
    }

    /// Logits of the last of a few tokens, without and with the adapter.
    private func logits(_ path: String, adapter: String) throws -> (base: [Float], adapted: [Float]) {
        let source = try ModelSource(path: path)
        var configuration = CPUBackend.Configuration(threadCount: 2, maxBatchedTokens: 64)
        configuration.precision = .float32
        let runner = try source.load(on: CPUBackend(configuration), options: ModelOptions(cacheByteCount: 1 << 20, maxBatchedTokens: 64))
        try runner.install(try source.adapters(of: runner).load(folder: adapter), as: 5)
        var results: [[Float]] = []
        for id: Int32 in [0, 5] {
            var batch = StepBatch(groupCount: 1)
            batch.tokenIDs = [3, 7, 11, 2, 39]
            batch.positions = [0, 1, 2, 3, 4]
            batch.queryStarts = [0, 5]
            batch.sequenceLengths = [5]
            batch.promptLengths = [5]
            batch.adapterIDs = [id]
            batch.groups[0].slotMapping = (0..<5).map { Int32(runner.kvCache.blockSize + $0) }
            batch.groups[0].blockTables = [1]
            batch.groups[0].maxBlocks = 1
            batch.logitRows = [4]
            results.append(Array(try runner.run(batch)[0..<40]))
        }
        return (results[0], results[1])
    }

    @Test func ggufReordersQueriesAndKeys() throws {
        var checkpoint = try TinyCheckpoint()
        let modules = Self.shapes.dropFirst(2).map { ($0.hub, outputs: $0.rows, inputs: $0.columns) }
        try Self.writeAdapter(checkpoint.folder, modules)
        var hub: [(String, TensorView)] = [], gguf: [(String, TensorView)] = []
        for (index, shape) in Self.shapes.enumerated() {
            let rows = Self.matrix(shape.rows, shape.columns, seed: index)
            hub.append((shape.hub + ".weight", try Self.view(rows)))
            gguf.append((shape.gguf + ".weight", try Self.view(["blk.0.attn_q", "blk.0.attn_k"].contains(shape.gguf) ? Self.permuted(rows) : rows)))
        }
        for (index, norm) in Self.norms.enumerated() {
            let values = Self.matrix(1, Self.hidden, seed: 50 + index)[0].map { 1 + $0 }
            hub.append((norm.0 + ".weight", try Self.vector(values)))
            gguf.append((norm.1 + ".weight", try Self.vector(values)))
        }
        checkpoint.config["rope_theta"] = 10_000.0
        try checkpoint.write()
        try SafetensorsWriter.write(to: checkpoint.folder + "/model.safetensors", hub)
        try GGUFWriter.write(
            to: checkpoint.folder + "/tiny.gguf", gguf,
            metadata: [
                ("general.architecture", .string("llama")), ("llama.embedding_length", .u32(32)), ("llama.block_count", .u32(1)),
                ("llama.attention.head_count", .u32(2)), ("llama.attention.head_count_kv", .u32(1)), ("llama.feed_forward_length", .u32(48)),
                ("llama.context_length", .u32(64)), ("llama.attention.layer_norm_rms_epsilon", .f32(1e-5)),
            ])
        let reference = try logits(checkpoint.folder, adapter: checkpoint.folder)
        let quantised = try logits(checkpoint.folder + "/tiny.gguf", adapter: checkpoint.folder)
        #expect(zip(reference.base, quantised.base).allSatisfy { ($0 - $1).magnitude < 1e-4 })
        #expect(zip(reference.adapted, quantised.adapted).allSatisfy { ($0 - $1).magnitude < 1e-4 })
        #expect(zip(reference.base, reference.adapted).contains { ($0 - $1).magnitude > 1e-2 }, "the adapter changes something")
        for name in ["tiny.gguf", "adapter_config.json", "adapter_model.safetensors"] { remove("\(checkpoint.folder)/\(name)") }
    }

    static let unfit: [(module: String, outputs: Int, inputs: Int, mentions: String)] = [
        ("model.layers.0.self_attn.q_proj", 33, 32, "33 outputs"), ("model.layers.0.self_attn.q_proj", 32, 31, "31 inputs"),
        ("model.layers.1.self_attn.q_proj", 32, 32, "no linear layer"), ("model.layers.0.mlp.experts.3.up_proj", 48, 32, "mixture of experts"),
        ("model.embed_tokens", 40, 32, "embedding"),
    ]

    @Test(arguments: unfit)
    func adaptersOfOtherModels(_ module: String, _ outputs: Int, _ inputs: Int, _ mentions: String) throws {
        let checkpoint = try TinyCheckpoint()
        try checkpoint.write()
        try Self.writeAdapter(checkpoint.folder, [(module, outputs: outputs, inputs: inputs)])
        let error = try #require(throws: LoadError.self) { try logits(checkpoint.folder, adapter: checkpoint.folder) }
        #expect(error.description.contains(mentions) && error.description.contains(module))
        for name in ["adapter_config.json", "adapter_model.safetensors"] { remove("\(checkpoint.folder)/\(name)") }
    }

    @Test func ranksAndPrefixes() throws {
        let target = AdapterTarget(module: MatrixModule(name: "h.0.attn.c_attn", firstColumn: 0, outputs: 6), inputs: 4)
        let checkpoint = try TinyCheckpoint()
        defer { for name in ["adapter_config.json", "adapter_model.safetensors"] { remove("\(checkpoint.folder)/\(name)") } }
        try Self.writeAdapter(checkpoint.folder, [("transformer.h.0.attn.c_attn", outputs: 6, inputs: 4)])
        let adapter = try ModelAdapters([target]).load(folder: checkpoint.folder)
        #expect(adapter.parts.map(\.module) == ["h.0.attn.c_attn"] && adapter.maxRank == 3 && adapter.parts[0].scale == 2)
        let error = try #require(throws: LoadError.self) { try ModelAdapters([target]).load(folder: checkpoint.folder, maxRank: 2) }
        #expect(error.description.contains("--max-lora-rank"))
    }
}
