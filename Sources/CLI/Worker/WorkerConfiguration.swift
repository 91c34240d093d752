import ArgumentParser
import JSON
package import Worker

/// All that a worker is told, checked, before anything is loaded.
package struct WorkerConfiguration {
    /// nil is the default model.
    package var model: String?
    package var revision: String?
    /// Of a tokenizer that is not the model's.
    package var tokenizer: String?
    package var servedNames: [String] = []
    var engine: EngineOptions
    package var loraModules: [LoRAModule] = []
    var maxLoras: Int?
    var maxLoraRank: Int?
    /// The method that the checkpoint is said to be quantised with.
    package var quantization: String?
    package var downloadFolder: String?
    package var isOffline = false
    package var responseRole = "assistant"
    var trustsRequestTemplates = false
    var promptTokensDetails = false
    var forcesUsage = false
    var ignoresGenerationConfig = false
    var generationOverrides: JSONValue?
    package var seed: UInt64 = 0
    package var concurrency = 30
    package var batching = TokenBatching()
    package var nativeShape = WorkerSettings.NativeShape.tokens
    package var rawOpenAIOutput = true
    var gatewayLostTimeout = 600.0
    package var stopGrace = 25.0
    package var stepTimeout = 900.0
    var prefetches = false
    /// One line each.
    package var warnings: [String]

    /// - Throws: `SettingsError` that names the variable, its value and what is allowed.
    package init(environment: [String: String]) throws {
        let variables = try WorkerVariables(environment: environment)
        warnings = variables.warnings
        var values: [String: String] = [:]
        var arguments: [String: (value: String, origin: String)] = [:]
        for (name, entry) in variables.entries.sorted(by: { $0.key < $1.key }) {
            guard let variable = EngineVariables.byName[name] else { continue }
            switch variable.meaning {
            case .inapplicable(let reason):
                if EngineVariable.asksForSomething(name, entry.value) { warnings.append("\(entry.origin)=\(entry.value) has no effect: \(reason)") }
            case .unsupported(let reason, let neutral):
                if neutral.contains(entry.value.lowercased()) || neutral.contains("false") && VariableValue.flag(entry.value) == false { continue }
                throw SettingsError("\(entry.origin)=\(entry.value) is not supported: \(reason); unset it")
            case .option(let option, let kind):
                if let value = try Self.read(entry, kind) { arguments[option] = (value, entry.origin) }
            case .setting(let kind):
                if let value = try Self.read(entry, kind) { values[name] = value }
            }
        }
        if let template = values["CUSTOM_CHAT_TEMPLATE"] { arguments["chat-template"] = (template, "CUSTOM_CHAT_TEMPLATE") }
        engine = try Self.engine(arguments)
        if let count = arguments["max-loras"] { maxLoras = Int(count.value) }
        if let rank = arguments["max-lora-rank"] { maxLoraRank = Int(rank.value) }
        model = values["MODEL_NAME"]
        revision = (values["MODEL_REVISION"] ?? engine.revision).flatMap { $0 == "main" ? nil : $0 }
        isOffline = variables.isBaked
        readTexts(values)
        try readServing(values, variables.entries)
        readWorker(values)
    }

    /// The engine's options, for the log and for tests: `max-num-seqs` and so on, those that are not the default.
    package var engineSummary: [String: String] {
        var summary: [String: String] = [:]
        if let length = engine.maxModelLen { summary["max-model-len"] = String(length.count) }
        if engine.maxNumSeqs != 128 { summary["max-num-seqs"] = String(engine.maxNumSeqs) }
        if engine.maxNumBatchedTokens != 2048 { summary["max-num-batched-tokens"] = String(engine.maxNumBatchedTokens) }
        if engine.dtype != .auto { summary["dtype"] = engine.dtype.rawValue }
        if engine.kvCacheDtype != .auto { summary["kv-cache-dtype"] = engine.kvCacheDtype.rawValue }
        if !engine.enablePrefixCaching { summary["enable-prefix-caching"] = "false" }
        if let template = engine.chatTemplate { summary["chat-template"] = template }
        return summary
    }

    private mutating func readTexts(_ values: [String: String]) {
        tokenizer = (values["TOKENIZER_NAME"] ?? values["TOKENIZER"]).flatMap { $0 == model ? nil : $0 }
        servedNames = (values["OPENAI_SERVED_MODEL_NAME_OVERRIDE"] ?? values["SERVED_MODEL_NAME"] ?? "").split(separator: ",").map {
            String($0.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }.filter { !$0.isEmpty }
        quantization = values["QUANTIZATION"].flatMap { $0.lowercased() == "none" ? nil : $0.lowercased() }
        downloadFolder = values["DOWNLOAD_DIR"]
        responseRole = values["OPENAI_RESPONSE_ROLE"] ?? values["RESPONSE_ROLE"] ?? "assistant"
    }

    private mutating func readServing(_ values: [String: String], _ entries: [String: WorkerVariables.Entry]) throws {
        trustsRequestTemplates = values["TRUST_REQUEST_CHAT_TEMPLATE"] == "true"
        promptTokensDetails = values["ENABLE_PROMPT_TOKENS_DETAILS"] == "true"
        forcesUsage = values["ENABLE_FORCE_INCLUDE_USAGE"] == "true"
        ignoresGenerationConfig = values["GENERATION_CONFIG"] == "vllm"
        if let text = values["OVERRIDE_GENERATION_CONFIG"] {
            guard let json = try? JSONValue(parsing: text), json.object != nil else {
                throw SettingsError("OVERRIDE_GENERATION_CONFIG is '\(text)', but must be a JSON object")
            }
            generationOverrides = json
        }
        if let text = values["LORA_MODULES"] { loraModules = try LoRAModules.read(text, origin: entries["LORA_MODULES"]?.origin ?? "LORA_MODULES") }
    }

    private mutating func readWorker(_ values: [String: String]) {
        // Negative seeds are seeds too.
        seed = values["SEED"].flatMap { Int($0) }.map { UInt64(bitPattern: Int64($0)) } ?? 0
        concurrency = min(values["MAX_CONCURRENCY"].flatMap { Int($0) } ?? 30, engine.maxNumSeqs)
        if let most = values["DEFAULT_BATCH_SIZE"].flatMap({ Int($0) }) { batching.most = most }
        if let first = (values["DEFAULT_MIN_BATCH_SIZE"] ?? values["MIN_BATCH_SIZE"]).flatMap({ Int($0) }) { batching.first = first }
        if let growth = (values["DEFAULT_BATCH_SIZE_GROWTH_FACTOR"] ?? values["BATCH_SIZE_GROWTH_FACTOR"]).flatMap({ Double($0) }), growth > 0 {
            batching.growth = growth
        }
        if let shape = values["NATIVE_OUTPUT"].flatMap({ WorkerSettings.NativeShape(rawValue: $0) }) { nativeShape = shape }
        rawOpenAIOutput = values["RAW_OPENAI_OUTPUT"] != "false"
        if let timeout = values["GATEWAY_LOST_TIMEOUT"].flatMap({ Double($0) }) { gatewayLostTimeout = timeout }
        if let grace = values["STOP_GRACE"].flatMap({ Double($0) }) { stopGrace = grace }
        if let limit = values["STEP_TIMEOUT"].flatMap({ Double($0) }) { stepTimeout = limit }
        prefetches = values["PREFETCH"] == "true"
    }

    private static func read(_ entry: WorkerVariables.Entry, _ kind: VariableValue) throws -> String? {
        do throws(VariableRefusal) {
            return try kind.read(entry.value)
        } catch {
            throw SettingsError("\(entry.origin) is '\(entry.value)', but must be \(error.allowed)")
        }
    }

    /// The engine's options, as its own parser checks them.
    private static func engine(_ values: [String: (value: String, origin: String)]) throws -> EngineOptions {
        var arguments: [String] = []
        var sequences: Int?, tokens: Int?
        for (option, entry) in values.sorted(by: { $0.key < $1.key }) {
            if option == "max-num-seqs" { sequences = Int(entry.value) }
            if option == "max-num-batched-tokens" { tokens = Int(entry.value) }
            if EngineOptions.invertible.contains(option) {
                arguments.append(entry.value == "true" ? "--\(option)" : "--no-\(option)")
            } else if EngineOptions.values.contains(option) {
                arguments.append("--\(option)=\(entry.value)")
            }
        }
        // A step must hold a token of each sequence; who sets one of the two need not know the other's default.
        if let sequences, tokens == nil, sequences > 2048 { arguments.append("--max-num-batched-tokens=\(sequences)") }
        if let tokens, sequences == nil, tokens < 128 { arguments.append("--max-num-seqs=\(tokens)") }
        do {
            return try EngineOptions.parse(arguments)
        } catch {
            let text = EngineOptions.message(for: error)
            let origins = values.filter { text.contains("--\($0.key)") }.map { $0.value.origin }.sorted().joined(separator: ", ")
            throw SettingsError(origins.isEmpty ? text : "\(text) (from \(origins))")
        }
    }
}

extension EngineVariable {
    /// Whether a variable that has no effect is worth a word: values that ask for what is the case anyway are not.
    static func asksForSomething(_ name: String, _ value: String) -> Bool {
        if VariableValue.flag(value) == false { return false }
        if name.hasSuffix("_PARALLEL_SIZE"), value == "1" { return false }
        return true
    }
}

/// `LORA_MODULES`: a JSON list of objects, or one object.
enum LoRAModules {
    static func read(_ text: String, origin: String) throws -> [LoRAModule] {
        guard let value = try? JSONValue(parsing: text) else {
            // The command line's own spelling, name=path.
            return try text.split(separator: ",").map { part in
                guard let module = LoRAModule(argument: String(part)) else { throw refusal(text, origin) }
                return module
            }
        }
        let elements = value.array ?? (value.object?.members.isEmpty == true ? [] : [value])
        let modules = try elements.map { element in
            guard let module = LoRAModule(argument: element.string ?? element.text) else { throw refusal(text, origin) }
            return module
        }
        var names: Set<String> = []
        for module in modules where !names.insert(module.name).inserted { throw SettingsError("\(origin) names '\(module.name)' twice") }
        return modules
    }

    private static func refusal(_ text: String, _ origin: String) -> SettingsError {
        SettingsError("\(origin) is '\(text)', but must be a JSON list of objects with name and path")
    }
}
