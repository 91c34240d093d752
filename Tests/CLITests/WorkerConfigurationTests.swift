import CLI
import Glibc
import TemporaryPath
import Testing
import Worker

/// A worker's environment: what is taken, what is passed over with a word, what is refused.
@Suite struct WorkerConfigurationTests {
    static func read(_ environment: [String: String]) throws -> WorkerConfiguration {
        // The machine's own files are nobody's business here.
        try WorkerConfiguration(environment: ["NEEDLETAIL_LOCAL_MODEL_ARGS": "/nonexistent"].merging(environment) { $1 })
    }

    static func refusal(_ environment: [String: String]) -> String? {
        do {
            _ = try read(environment)
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// A file for the time of `body`.
    static func withFile<Result>(_ text: String, _ body: (String) throws -> Result) throws -> Result {
        var template = Array(temporaryPath("needletail-test-XXXXXX").utf8CString)
        let file = mkstemp(&template)
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            close(file)
            unlink(path)
        }
        var bytes = Array(text.utf8)
        #expect(write(file, &bytes, bytes.count) == bytes.count)
        return try body(path)
    }

    @Test func nothingSetIsFine() throws {
        let configuration = try Self.read([:])
        #expect(configuration.model == nil)
        #expect(configuration.concurrency == 30)
        #expect(configuration.batching == TokenBatching(first: 1, most: 50, growth: 3))
        #expect(configuration.nativeShape == .tokens)
        #expect(configuration.rawOpenAIOutput)
        #expect(configuration.engineSummary.isEmpty)
        #expect(configuration.warnings.isEmpty)
    }

    @Test func valuesReachTheEngine() throws {
        let configuration = try Self.read([
            "MODEL_NAME": "org/name", "MODEL_REVISION": "main", "MAX_MODEL_LEN": "4k", "MAX_NUM_SEQS": "16", "DTYPE": "float", "KV_CACHE_DTYPE": "fp8",
            "ENABLE_PREFIX_CACHING": "False", "SEED": "7", "CUSTOM_CHAT_TEMPLATE": "{{ messages }}", "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "a, b",
            "MAX_CONCURRENCY": "300", "GPU_MEMORY_UTILIZATION": "0.95",
        ])
        #expect(configuration.model == "org/name")
        #expect(configuration.revision == nil)
        #expect(
            configuration.engineSummary == [
                "max-model-len": "4000", "max-num-seqs": "16", "dtype": "float32", "kv-cache-dtype": "fp8", "enable-prefix-caching": "false",
                "chat-template": "{{ messages }}",
            ])
        #expect(configuration.seed == 7)
        #expect(configuration.servedNames == ["a", "b"])
        #expect(configuration.concurrency == 16)
        #expect(configuration.warnings == ["GPU_MEMORY_UTILIZATION=0.95 has no effect: this engine computes on the processor"])
    }

    @Test(arguments: ["", "None"]) func emptyIsUnset(_ value: String) throws {
        let names = ["MODEL_NAME", "QUANTIZATION", "MAX_MODEL_LEN", "ROPE_SCALING", "TOOL_CALL_PARSER", "MAX_NUM_SEQS", "VLLM_EXTRA_ARGS", "LORA_MODULES"]
        let configuration = try Self.read(Dictionary(uniqueKeysWithValues: names.map { ($0, value) }))
        #expect(configuration.model == nil)
        #expect(configuration.quantization == nil)
        #expect(configuration.warnings.isEmpty)
    }

    @Test(arguments: [
        ("MAX_MODEL_LEN", "long", "a number of tokens"), ("MAX_NUM_SEQS", "-1", "a whole number from 1"), ("DTYPE", "int4", "bfloat16"),
        ("ENABLE_PREFIX_CACHING", "maybe", "true or false"), ("MAX_CONCURRENCY", "0", "from 1 to"), ("DEFAULT_BATCH_SIZE", "x", "a whole number"),
        ("KV_CACHE_DTYPE", "int3", "fp8"), ("LORA_MODULES", "[{\"name\":1}]", "JSON list"), ("RAW_OPENAI_OUTPUT", "2", "true or false"),
        ("NEEDLETAIL_NATIVE_OUTPUT", "xml", "openai, tokens"), ("GENERATION_CONFIG", "/some/folder", "auto, vllm"),
        ("OVERRIDE_GENERATION_CONFIG", "[]", "JSON object"), ("MAX_NUM_BATCHED_TOKENS", "many", "a whole number"),
    ])
    func badValuesNameVariableValueAndChoice(_ name: String, _ value: String, _ choice: String) throws {
        let text = try #require(Self.refusal([name: value]))
        #expect(text.contains(name) && text.contains("'\(value)'") && text.contains(choice), "\(text)")
    }

    @Test(arguments: [
        ("ROPE_SCALING", "{}"), ("HF_OVERRIDES", "{}"), ("ENABLE_AUTO_TOOL_CHOICE", "true"), ("REASONING_PARSER", "qwen3"), ("LOAD_FORMAT", "dummy"),
        ("DISABLE_SLIDING_WINDOW", "1"), ("SKIP_TOKENIZER_INIT", "true"), ("TOKENIZER_MODE", "mistral"),
    ])
    func whatWouldChangeResultsIsRefused(_ name: String, _ value: String) throws {
        let text = try #require(Self.refusal([name: value]))
        #expect(text.contains("\(name)=\(value) is not supported"), "\(text)")
    }

    @Test func neutralValuesOfTheUnsupportedPass() throws {
        #expect(
            try Self.read(["LOAD_FORMAT": "auto", "DISABLE_SLIDING_WINDOW": "0", "ENABLE_AUTO_TOOL_CHOICE": "no", "TOKENIZER_MODE": "slow", "RUNNER": "auto"])
                .warnings.isEmpty)
    }

    @Test func theUnknownIsOnlyWarnedOf() throws {
        let configuration = try Self.read(["ENABLE_WARP_DRIVE": "1", "VLLM_WONDER": "x", "PATH": "/bin", "HOST": "h", "MODEL": "m", "NATIVE_OUTPUT": "openai"])
        #expect(configuration.warnings == ["ENABLE_WARP_DRIVE is not known and has no effect", "VLLM_WONDER is not known and has no effect"])
        #expect(configuration.model == nil)
        #expect(configuration.nativeShape == .tokens)
    }

    @Test func inapplicableOnesGetOneLine() throws {
        let configuration = try Self.read(["TENSOR_PARALLEL_SIZE": "2", "PIPELINE_PARALLEL_SIZE": "1", "ENFORCE_EAGER": "false", "SWAP_SPACE": "4"])
        #expect(configuration.warnings.count == 2)
    }

    @Test func batchSizesHaveTwoSpellings() throws {
        let documented = try Self.read([
            "DEFAULT_BATCH_SIZE": "20", "DEFAULT_MIN_BATCH_SIZE": "2", "MIN_BATCH_SIZE": "9", "DEFAULT_BATCH_SIZE_GROWTH_FACTOR": "2.5", "BATCH_SIZE_GROWTH_FACTOR": "9",
        ])
        #expect(documented.batching == TokenBatching(first: 2, most: 20, growth: 2.5))
        let other = try Self.read(["MIN_BATCH_SIZE": "3", "BATCH_SIZE_GROWTH_FACTOR": "4"])
        #expect(other.batching == TokenBatching(first: 3, most: 50, growth: 4))
    }

    @Test func precedence() throws {
        try Self.withFile("max-model-len: 100\nmax_num_seqs: 3\ndtype: float32\nmystery: 1\n") { file in
            let configuration = try Self.read([
                "VLLM_CONFIG_FILE": file, "MAX_NUM_SEQS": "4", "NEEDLETAIL_MAX_NUM_BATCHED_TOKENS": "512", "MAX_NUM_BATCHED_TOKENS": "256",
                "VLLM_EXTRA_ARGS": "--max-model-len=300 --no-enable-prefix-caching --served-model-name 'x y'",
            ])
            #expect(
                configuration.engineSummary == [
                    "max-model-len": "300", "max-num-seqs": "4", "max-num-batched-tokens": "512", "dtype": "float32", "enable-prefix-caching": "false",
                ])
            #expect(configuration.servedNames == ["x y"])
            #expect(configuration.warnings == ["\(file): 'mystery' is not known and has no effect"])
        }
        #expect(Self.refusal(["VLLM_EXTRA_ARGS": "--warp 9"])?.contains("--warp") == true)
        #expect(Self.refusal(["VLLM_EXTRA_ARGS": "'open"])?.contains("quotation") == true)
        #expect(Self.refusal(["VLLM_CONFIG_FILE": "/nonexistent.yaml"]) != nil)
    }

    @Test func bakedModelsWin() throws {
        try Self.withFile("{\"MODEL_NAME\":\"/models/baked\",\"TOKENIZER_NAME\":\"/models/baked\",\"QUANTIZATION\":\"awq\"}") { file in
            let configuration = try Self.read(["NEEDLETAIL_LOCAL_MODEL_ARGS": file, "MODEL_NAME": "org/other"])
            #expect(configuration.model == "/models/baked")
            #expect(configuration.tokenizer == nil)
            #expect(configuration.quantization == "awq")
            #expect(configuration.isOffline)
        }
    }

    @Test func adapters() throws {
        let one = try Self.read(["LORA_MODULES": "{\"name\":\"a\",\"path\":\"/a\",\"base_model_name\":\"b\"}"])
        #expect(one.loraModules.map(\.name) == ["a"])
        let two = try Self.read(["LORA_MODULES": "[{\"name\":\"a\",\"path\":\"/a\"},{\"name\":\"b\",\"path\":\"/b\"}]"])
        #expect(two.loraModules.map(\.path) == ["/a", "/b"])
        #expect(try Self.read(["LORA_MODULES": "[]"]).loraModules.isEmpty)
        #expect(Self.refusal(["LORA_MODULES": "[{\"name\":\"a\",\"path\":\"/a\"},{\"name\":\"a\",\"path\":\"/b\"}]"])?.contains("twice") == true)
    }

    /// Small values do not run into limits that their user never heard of.
    @Test func sequencesAndTokensFitEachOther() throws {
        #expect(try Self.read(["MAX_NUM_SEQS": "4000"]).engineSummary["max-num-batched-tokens"] == "4000")
        #expect(try Self.read(["MAX_NUM_BATCHED_TOKENS": "64"]).engineSummary["max-num-seqs"] == "64")
        #expect(Self.refusal(["MAX_NUM_BATCHED_TOKENS": "64", "MAX_NUM_SEQS": "128"])?.contains("MAX_NUM") == true)
    }
}

/// Models where Runpod's platform puts them.
@Suite struct CachedModelTests {
    /// A cache folder for the time of `body`.
    static func withCache(_ files: [(path: String, text: String)], _ body: (String) throws -> Void) throws {
        var template = Array(temporaryPath("needletail-cache-XXXXXX").utf8CString)
        try #require(mkdtemp(&template) != nil)
        let root = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        var made = [root]
        defer { for path in made.reversed() where unlink(path) != 0 { rmdir(path) } }
        for (path, text) in files {
            var folder = root
            for part in path.split(separator: "/").dropLast() {
                folder += "/" + part
                if mkdir(folder, 0o700) == 0 { made.append(folder) }
            }
            let file = try #require(fopen(root + "/" + path, "w"))
            fputs(text, file)
            fclose(file)
            made.append(root + "/" + path)
        }
        try body(root)
    }

    static let commit = String(repeating: "ab", count: 20)

    static func model(_ folder: String, reference: String? = "main") -> [(path: String, text: String)] {
        let snapshot = "\(folder)/snapshots/\(commit)"
        return [("\(snapshot)/config.json", "{}"), ("\(snapshot)/model.safetensors", "x"), ("\(snapshot)/tokenizer.json", "{}")]
            + (reference.map { [("\(folder)/refs/\($0)", commit)] } ?? [])
    }

    @Test func exactNamesComeFirst() throws {
        try Self.withCache(Self.model("models--Org--Name") + Self.model("models--org--name")) { root in
            #expect(CachedModel.find("Org/Name", revision: nil, roots: [root]) == "\(root)/models--Org--Name/snapshots/\(Self.commit)")
        }
    }

    @Test func caseDoesNotMatter() throws {
        try Self.withCache(Self.model("models--org--name")) { root in
            #expect(CachedModel.find("Org/Name", revision: "main", roots: ["/nonexistent", root]) == "\(root)/models--org--name/snapshots/\(Self.commit)")
            #expect(CachedModel.find("Org/Name", revision: Self.commit, roots: [root]) != nil)
            #expect(CachedModel.find("Org/Name", revision: "v2", roots: [root]) == nil)
            #expect(CachedModel.find("Org/Other", revision: nil, roots: [root]) == nil)
            #expect(CachedModel.find("/models/x", revision: nil, roots: [root]) == nil)
        }
    }

    @Test func aLoneSnapshotNeedsNoReference() throws {
        try Self.withCache(Self.model("models--org--name", reference: nil)) { root in
            #expect(CachedModel.find("org/name", revision: nil, roots: [root]) != nil)
            #expect(CachedModel.find("org/name", revision: "v2", roots: [root]) == nil)
        }
    }

    @Test func roots() {
        let roots = CachedModel.roots(["HF_HOME": "/hf", "BASE_PATH": "/base"], downloadFolder: "/down")
        #expect(roots == ["/down", "/hf/hub", "/base/huggingface-cache/hub", "/runpod-volume/huggingface-cache/hub"])
    }
}
