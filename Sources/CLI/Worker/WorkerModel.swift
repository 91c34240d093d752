import ArgumentParser
import Engine
import Glibc
import Hub
import JSON
import Logging
import OpenAI
import Progress
import Server
import Tensors

/// A worker's model: where it is, and how it is served.
struct WorkerModel {
    /// What to open: a path or a name of the hub; nil is the default model.
    private let source: String?
    private let isCached: Bool
    private let servedNames: [String]

    /// Looks in the order of Runpod's image: what was baked in or is a path, the caches (letters of any case), the hub.
    /// - Parameter environment: is told where the hub's cache is.
    init(_ configuration: WorkerConfiguration, _ environment: inout [String: String]) throws {
        let roots = CachedModel.roots(environment, downloadFolder: configuration.downloadFolder)
        if let folder = configuration.downloadFolder {
            environment["HF_HUB_CACHE"] = folder
        } else if environment["HF_HUB_CACHE"] == nil, environment["HUGGINGFACE_HUB_CACHE"] == nil, environment["HF_HOME"] == nil,
            let base = WorkerVariables.text(environment["BASE_PATH"])
        {
            environment["HF_HUB_CACHE"] = base + "/huggingface-cache/hub"
        }
        if configuration.isOffline { environment["HF_HUB_OFFLINE"] = "1" }
        let name = configuration.model
        let found = name.flatMap { CachedModel.find($0, revision: configuration.revision, roots: roots) }
        source = found ?? name
        // What is a path already has no revision.
        isCached = found != nil || name.map { access($0, F_OK) == 0 } == true
        servedNames = configuration.servedNames.isEmpty ? name.map { [$0] } ?? [] : configuration.servedNames
    }

    func open(
        _ configuration: WorkerConfiguration, _ environment: [String: String], prefetches: Bool, _ logger: Logger, _ coldStart: ColdStart
    ) async throws -> WorkerSession {
        var engine = configuration.engine
        // The folder of a snapshot is its revision.
        engine.revision = isCached ? nil : configuration.revision
        var flags: [String] = []
        if let count = configuration.maxLoras { flags.append("--max-loras=\(count)") }
        if let rank = configuration.maxLoraRank { flags.append("--max-lora-rank=\(rank)") }
        let lora = try LoRAFlags.parse(flags)
        if isCached, let source { try checkQuantization(configuration.quantization, source) }
        for module in configuration.loraModules where module.path.hasPrefix("/") && access(module.path + "/adapter_config.json", R_OK) != 0 {
            throw SettingsError("LORA_MODULES: \(module.name): \(module.path) holds no adapter_config.json")
        }
        let tokenizer = try tokenizerFolder(configuration, environment)
        var clock = StartClock()
        let session = try await ModelSession.open(
            source, engine, servedNames: servedNames, lora: lora, environment: environment, tokenizerFolder: tokenizer,
            prefetches: prefetches, progress: SilentProgress(), clock: &clock)
        coldStart.add(clock.phases)
        for line in session.lines { logger.info("\(line)") }
        try checkQuantization(configuration.quantization, session.local.format == .gguf ? session.local.weights[0] : session.local.folder)
        var served = session.served
        served.defaults = try defaults(served.defaults, configuration)
        for module in configuration.loraModules {
            do {
                let summary = try await served.adapters.load(name: module.name, path: module.path, baseName: module.baseName)
                logger.info("adapter    \(module.name): \(summary)")
            } catch {
                throw SettingsError("LORA_MODULES: \(module.name) at \(module.path): \(error.message)")
            }
        }
        if !configuration.loraModules.isEmpty { coldStart.mark("adapters") }
        return WorkerSession(
            engine: session.engine, served: served, fingerprint: ModelFingerprint.text(session.local, configuration, tokenizerFolder: tokenizer))
    }

    func serverOptions(_ configuration: WorkerConfiguration) -> ServerOptions {
        var options = ServerOptions()
        options.responseRole = configuration.responseRole
        options.trustRequestChatTemplate = configuration.trustsRequestTemplates
        options.enablePromptTokensDetails = configuration.promptTokensDetails
        options.alwaysIncludesUsage = configuration.forcesUsage
        return options
    }

    private func tokenizerFolder(_ configuration: WorkerConfiguration, _ environment: [String: String]) throws -> String? {
        guard let tokenizer = configuration.tokenizer, tokenizer != source else { return nil }
        let roots = CachedModel.roots(environment, downloadFolder: configuration.downloadFolder)
        if let found = CachedModel.find(tokenizer, revision: nil, roots: roots) { return found }
        guard SmallFile.text(tokenizer + "/tokenizer_config.json") != nil || SmallFile.text(tokenizer + "/tokenizer.json") != nil else {
            throw SettingsError("TOKENIZER_NAME is '\(tokenizer)', but must be a folder with a tokenizer, or a model in the cache; unset it to use the model's own")
        }
        return tokenizer
    }

    private func defaults(_ own: GenerationDefaults, _ configuration: WorkerConfiguration) throws -> GenerationDefaults {
        var defaults = own
        if configuration.ignoresGenerationConfig {
            defaults = GenerationDefaults()
            defaults.eosTokenIDs = own.eosTokenIDs
        }
        if let overrides = configuration.generationOverrides { defaults.adopt(overrides) }
        return defaults
    }

    /// `QUANTIZATION` says what the checkpoint must be; weights are not quantised while loading.
    /// - path: a GGUF file, or a folder; one without config.json says nothing yet.
    private func checkQuantization(_ wanted: String?, _ path: String) throws {
        guard let wanted, path.hasSuffix(".gguf") || access(path + "/config.json", R_OK) == 0 else { return }
        let found = path.hasSuffix(".gguf") ? "gguf" : Self.method(path)
        let plain = { (name: String) in name.replacing("_marlin", with: "").replacing("-", with: "_") }
        guard let found else {
            throw SettingsError("QUANTIZATION is '\(wanted)', but the checkpoint is not quantised, and weights are not quantised while loading; unset it, or use a quantised checkpoint")
        }
        guard plain(found) == plain(wanted) else { throw SettingsError("QUANTIZATION is '\(wanted)', but the checkpoint is quantised as '\(found)'; unset it") }
    }

    private static func method(_ folder: String) -> String? {
        guard let file = try? MappedFile(path: folder + "/config.json"), let config = try? JSONValue(parsing: Array(file.bytes)) else { return nil }
        let quantization = config["quantization_config"] ?? config["compression_config"]
        return quantization?["quant_method"]?.string?.lowercased()
    }
}

struct WorkerSession {
    let engine: Engine
    let served: ServedModel
    let fingerprint: String
}
