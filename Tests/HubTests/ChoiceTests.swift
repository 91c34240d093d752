import Hub
import Testing

@Suite("Which files make the model")
struct ChoiceTests {
    private let quants = [
        "README.md", "imatrix.gguf", "mmproj-F16.gguf", "tiny-Q2_K.gguf", "tiny-Q4_K_M.gguf", "tiny-UD-Q4_K_M.gguf", "tiny-Q8_0.gguf",
        "BF16/tiny-BF16-00001-of-00002.gguf", "BF16/tiny-BF16-00002-of-00002.gguf",
    ]

    private func weights(_ paths: [String], _ choice: String?) throws -> [String] {
        try ModelFiles.choose(from: paths, choice: choice, name: "acme/tiny").weights
    }

    @Test(arguments: [
        (nil, ["tiny-Q4_K_M.gguf"]), ("q4_k_m", ["tiny-Q4_K_M.gguf"]), ("UD-Q4_K_M", ["tiny-UD-Q4_K_M.gguf"]), ("Q8_0", ["tiny-Q8_0.gguf"]),
        ("tiny-Q2_K.gguf", ["tiny-Q2_K.gguf"]), ("Q2", ["tiny-Q2_K.gguf"]), ("*Q8*", ["tiny-Q8_0.gguf"]),
        ("BF16", ["BF16/tiny-BF16-00001-of-00002.gguf", "BF16/tiny-BF16-00002-of-00002.gguf"]),
        ("BF16/tiny-BF16-00001-of-00002.gguf", ["BF16/tiny-BF16-00001-of-00002.gguf", "BF16/tiny-BF16-00002-of-00002.gguf"]),
    ] as [(String?, [String])])
    func gguf(_ choice: String?, _ expected: [String]) throws {
        #expect(try weights(quants, choice) == expected)
    }

    @Test func ggufErrors() throws {
        let none = #expect(throws: HubError.self) { try weights(quants, "Q3_K_S") }
        #expect(none == .noSuchChoice(repo: "acme/tiny", choice: "Q3_K_S", available: ["BF16", "Q2_K", "Q4_K_M", "Q8_0", "UD-Q4_K_M"]))
        let many = #expect(throws: HubError.self) { try weights(quants, "Q*K*") }
        #expect(many == .noSuchChoice(repo: "acme/tiny", choice: "Q*K*", available: ["BF16", "Q2_K", "Q4_K_M", "Q8_0", "UD-Q4_K_M"]))
        let two = #expect(throws: HubError.self) { try weights(quants, "*Q4_K_M*") }
        #expect(two == .ambiguousChoice(repo: "acme/tiny", choice: "*Q4_K_M*", matches: ["tiny-Q4_K_M.gguf", "tiny-UD-Q4_K_M.gguf"]))
        let part = #expect(throws: HubError.self) { try weights(["x-00002-of-00003.gguf", "x-00001-of-00003.gguf"], nil) }
        #expect(part == .fileNotFound(repo: "acme/tiny", revision: "this revision", file: "x-00003-of-00003.gguf"))
        #expect(throws: HubError.self) { try weights(["a-IQ1_S.gguf", "b-IQ1_M.gguf"], nil) }
        #expect(try weights(["only-IQ1_S.gguf"], nil) == ["only-IQ1_S.gguf"])
    }

    @Test func safetensors() throws {
        let config = ["config.json", "tokenizer.json"]
        #expect(try weights(config + ["model.safetensors", "model.fp16.safetensors", "model-Q4_0.gguf"], nil) == ["model.safetensors"])
        #expect(try weights(config + ["model.safetensors", "model-Q4_0.gguf"], "Q4_0") == ["model-Q4_0.gguf"])
        #expect(try weights(config + ["b.safetensors", "a.safetensors", "a.fp16.safetensors", "consolidated.safetensors"], nil) == ["a.safetensors", "b.safetensors"])
        #expect(try weights(config + ["model.fp16.safetensors"], "model.fp16.safetensors") == ["model.fp16.safetensors"])
        #expect(try ModelFiles.choose(from: config + ["model.safetensors.index.json", "model-00001-of-00001.safetensors"], choice: nil, name: "x").index == "model.safetensors.index.json")
        #expect(throws: HubError.self) { try weights(config + ["consolidated.safetensors"], nil) }
        #expect(throws: HubError.self) { try weights(["model.safetensors"], nil) }
        #expect(throws: HubError.self) { try weights(["config.json", "adapter_model.safetensors"], nil) }
        #expect(throws: HubError.self) { try ModelFiles.shards(index: Array(#"{"weight_map":{"a":"../x.safetensors"}}"#.utf8), path: "p") }
        #expect(throws: HubError.self) { try ModelFiles.shards(index: Array("[]".utf8), path: "p") }
    }

    @Test func ggufRepositoriesAreFetchedByQuantisation() async throws {
        var repo = TestHub.Repo(id: "acme/tiny-GGUF", files: ["tiny-Q4_K_M.gguf": content(4000), "tiny-Q8_0.gguf": content(5000), "config.json": [1]])
        repo.large = ["tiny-Q4_K_M.gguf", "tiny-Q8_0.gguf"]
        try await TestHub.run(repo) { hub in
            let place = try Workplace()
            let reference = try ModelReference("acme/tiny-GGUF:q8_0", environment: place.environment(hub))
            let model = try await Hub.locate(reference, environment: place.environment(hub))
            #expect(model.format == .gguf && model.name == "acme/tiny-GGUF:q8_0")
            #expect(Files.contents(model.weights[0], limit: 1 << 20) == content(5000))
            #expect(hub.bodies("tiny-Q4_K_M.gguf").isEmpty && hub.bodies("config.json").isEmpty)
            let offline = try await Hub.locate(reference, environment: place.environment(hub, ["HF_HUB_OFFLINE": "1"]))
            #expect(offline == model)
            let wrong = #expect(throws: HubError.self) { try ModelReference("acme/tiny-GGUF:", environment: [:]) }
            #expect(wrong?.description.contains("Looked for") == true)
        }
    }
}
