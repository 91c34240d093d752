import Glibc
import JSON
import Models
import Step
import Tensors
import Testing
import Weights

/// Which end a configuration and the files beside it give a model.
@Suite struct PooledFamilyTests {
    private static let base: [String: JSONValue] = [
        "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48, "vocab_size": 40,
        "max_position_embeddings": 64,
    ]

    private func describe(_ architecture: String, _ more: [String: JSONValue] = [:]) throws -> DecoderDescription {
        let members = Self.base.merging(more) { $1 }.merging(["architectures": [.string(architecture)]]) { $1 }
        return try DecoderFamilies.describe(ConfigReader(JSONObject(members.map { ($0.key, $0.value) }), file: "config.json"))
    }

    @Test(arguments: ["Llama", "Qwen2", "Qwen3", "Mistral", "Gemma", "Gemma2", "Phi3"])
    func decodersUnderAnotherHead(_ stem: String) throws {
        let classifier = try describe(stem + "ForSequenceClassification", ["num_labels": 3, "head_dim": 16])
        #expect(classifier.pooled == PooledDescription(
            .last, .softmax, layers: [PooledLayer("score", outputs: 3)], labels: ["LABEL_0", "LABEL_1", "LABEL_2"]))
        #expect(classifier.outputWidth == 3 && !classifier.needsWholeSequences)
        let embedder = try describe(stem + "Model", ["head_dim": 16])
        #expect(embedder.pooled == PooledDescription(.last, .normalize) && embedder.outputWidth == 32)
        #expect(try describe(stem + "ForCausalLM", ["head_dim": 16]).pooled == nil)
    }

    @Test func encodersSeeTheWholeText() throws {
        let bert = try describe("BertModel")
        #expect(bert.needsWholeSequences && bert.isBidirectional && bert.pooled?.pooling == .first)
        let roberta = try describe("XLMRobertaModel", ["max_position_embeddings": 66, "pad_token_id": 1])
        #expect(roberta.maxPositions == 64 && roberta.embedding.positions?.offset == 2 && roberta.embedding.positions?.rows == 66)
    }

    @Test func labelsAndActivations() throws {
        func classifier(_ more: [String: JSONValue]) throws -> PooledDescription? { try describe("BertForSequenceClassification", more).pooled }
        #expect(try classifier(["id2label": ["1": "good", "0": "bad"]])?.labels == ["bad", "good"])
        #expect(try classifier([:])?.labels.count == 2)
        #expect(try classifier(["num_labels": 1])?.activation == .sigmoid)
        #expect(try classifier(["problem_type": "multi_label_classification"])?.activation == .sigmoid)
        #expect(try classifier(["problem_type": "regression"])?.activation == PooledActivation.none)
        let reranker = try classifier(["num_labels": 1, "sentence_transformers": ["activation_fn": "torch.nn.modules.linear.Identity"]])
        #expect(reranker?.activation == PooledActivation.none)
        for (key, value) in [
            ("id2label", ["0": "a", "2": "b"]), ("id2label", [:]), ("problem_type", "song"), ("num_labels", 0),
            ("sbert_ce_default_activation_function", "torch.nn.Softplus"), ("position_embedding_type", "relative_key"),
        ] as [(String, JSONValue)] {
            let error = #expect(throws: LoadError.self) { try classifier([key: value]) }
            #expect(String(describing: error).contains(key), "\(String(describing: error))")
        }
    }

    @Test(arguments: [
        ("pooling_mode_cls_token", PooledOutput.Pooling.first), ("pooling_mode_mean_tokens", .mean), ("pooling_mode_lasttoken", .last),
    ])
    func filesOfSentenceTransformers(_ mode: String, _ pooling: PooledOutput.Pooling) throws {
        let folder = try ModuleFolder()
        try folder.write("1_Pooling/config.json", "{\"\(mode)\": true}")
        try folder.write("sentence_bert_config.json", "{\"max_seq_length\": 48}")
        try folder.write("config_sentence_transformers.json", "{\"prompts\": {\"query\": \"Q: \"}}")
        let description = try ModelSource(path: folder.tiny.folder).description
        #expect(description.pooled?.pooling == pooling && description.pooled?.activation == .normalize)
        #expect(description.maxPositions == 48 && description.pooled?.prompts == ["query": "Q: "])
    }

    @Test func poolingsThatAreNotKnownAreRefused() throws {
        let folder = try ModuleFolder()
        for (text, mention) in [
            ("{\"pooling_mode_max_tokens\": true}", "pooling_mode_max_tokens"), ("{}", "pooling_mode_mean_tokens"),
            ("{\"pooling_mode_mean_tokens\": true, \"pooling_mode_cls_token\": true}", "only one"), ("[]", "1_Pooling"),
        ] {
            try folder.write("1_Pooling/config.json", text)
            let error = #expect(throws: LoadError.self) { try ModelSource(path: folder.tiny.folder) }
            #expect(String(describing: error).contains(mention), "\(String(describing: error))")
        }
    }
}

/// A one-layer Llama with the files of a sentence-transformers folder: pooling, then normalisation.
private final class ModuleFolder {
    let tiny: TinyCheckpoint

    init() throws {
        tiny = try TinyCheckpoint()
        try tiny.write()
        mkdir("\(tiny.folder)/1_Pooling", 0o755)
        try write("1_Pooling/config.json", "{}")
        try write(
            "modules.json",
            """
            [{"type": "sentence_transformers.models.Transformer", "path": ""}, {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
             {"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"}]
            """)
    }

    deinit {
        for name in ["1_Pooling/config.json", "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"] {
            unlink("\(tiny.folder)/\(name)")
        }
        rmdir("\(tiny.folder)/1_Pooling")
    }

    func write(_ name: String, _ text: String) throws {
        guard let file = fopen("\(tiny.folder)/\(name)", "w") else { throw TinyCheckpoint.TinyError() }
        fputs(text, file)
        fclose(file)
    }
}
