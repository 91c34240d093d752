import Compute
import Engine
import Hub
import JSON
import ModelText
import Models
import OpenAI
import Planning
import Progress
import Sampling
import Server
import Step
import Tokenizers
import Weights

/// A model ready to answer: located, loaded, with an engine running on it.
struct ModelSession {
    let local: LocalModel
    let source: ModelSource
    let plan: MemoryPlan
    let backendSummary: String
    let engine: Engine
    let served: ServedModel
    let adapterLoader: EngineAdapterLoader
    /// What was found on loading, for the log.
    let found: [String]
    /// Of the adapter that this session generates with; nil is the bare model.
    var adapterID: Int32?

    /// - Parameters:
    ///   - name: what the user typed; nil is the default model.
    ///   - servedNames: names in the API; empty is the model's own.
    ///   - lora: what `serve` says of adapters.
    ///   - tokenizerFolder: of a tokenizer that is to be used in place of the model's.
    ///   - prefetches: the weights are read ahead by threads of their own.
    ///   - clock: notes when each phase of the start was over.
    static func open(
        _ name: String?, _ options: EngineOptions, servedNames: [String] = [], lora: LoRAFlags? = nil, environment: [String: String] = Environment.all,
        tokenizerFolder: String? = nil, prefetches: Bool = false, progress: any ProgressReporter, clock: inout StartClock
    ) async throws -> ModelSession {
        let reference = try reference(name, options.revision, environment)
        let local = try await Hub.locate(reference, environment: environment, progress: progress)
        progress.close()
        if prefetches { Prefetch.start(local.weights) }
        clock.mark("locate")
        let path = local.format == .gguf ? local.weights[0] : local.folder
        let source = try ModelSource(path: path)
        clock.mark("open")
        let fitted = options.fitting(source.description)

        // The text side and the weights have nothing to do with each other.
        let cache = TokenizerCache(environment: environment)
        async let text = loadText(local, source, options, tokenizerFolder, cache)
        let backend = CPUBackend(fitted.backendConfiguration)
        let summary = backend.summary
        let plan = try MemoryPlan(source, on: backend, fitted)
        var modelOptions = ModelOptions(cacheByteCount: plan.cacheBytes, maxBatchedTokens: fitted.maxNumBatchedTokens)
        modelOptions.blockSize = fitted.blockSize
        let item = progress.begin("loading \(local.name)", total: source.description.layers.count + 1, unit: .items("parts"))
        let runner = try source.load(on: backend, options: modelOptions) { done, _ in progress.move(item, to: done) }
        progress.finish(item, .done)
        progress.close()
        clock.mark("weights")
        let adapters = source.adapters(of: runner)
        let found = ["layers     \(runner.forms)"] + runner.fallbacks.map { "slow       \($0)" }
        let textModel = try await text
        clock.mark("tokenizer")

        var configuration = fitted.engineConfiguration(maxModelLength: plan.maxModelLength)
        // Rows that pad the vocabulary beyond the tokenizer can be chosen, as in the reference; they have no text.
        configuration.vocabularySize = source.description.vocabularySize
        configuration.scheduler.adapters = lora?.maxLoras
        let engine = try Engine(configuration: configuration, runner: runner)
        let defaults = try ModelDefaults.read(local, source)
        let adapterLoader = EngineAdapterLoader(engine: engine, adapters: adapters, maxRank: lora?.maxLoraRank, environment: environment)
        var served = ServedModel(
            names: servedNames.isEmpty ? [local.name] : servedNames, root: name ?? local.name, maxModelLength: plan.maxModelLength,
            defaults: defaults, text: textModel, generator: EngineGenerator(engine), adapterLoader: adapterLoader)
        served.pooled = PooledModel(source.description)
        clock.mark("engine")
        Task.detached(priority: .background) { cache.write() }
        return ModelSession(local: local, source: source, plan: plan, backendSummary: summary, engine: engine, served: served,
            adapterLoader: adapterLoader, found: found)
    }

    static func reference(_ name: String?, _ revision: String?, _ environment: [String: String]) throws -> ModelReference {
        guard let name else { return try DefaultModel.reference(environment: environment) }
        guard let revision else { return try ModelReference(name, environment: environment) }
        return try ModelReference(name.contains("@") ? name : "\(name)@\(revision)", environment: environment)
    }

    private static func loadText(
        _ local: LocalModel, _ source: ModelSource, _ options: EngineOptions, _ tokenizerFolder: String?, _ cache: TokenizerCache
    ) async throws -> any TextModel {
        let text = try ModelText.load(
            folder: tokenizerFolder ?? local.folder, checkpoint: tokenizerFolder == nil ? source.checkpoint : nil, chatTemplate: options.chatTemplate,
            cache: cache)
        let specials = text.specialTokens
        return try TokenizerText(
            tokenizer: text.tokenizer, chatTemplate: text.chatTemplate,
            specialTokens: .init(bos: specials.bos, eos: specials.eos, unknown: specials.unknown, padding: specials.padding),
            truncatesFromLeft: text.truncatesFromLeft)
    }

    /// Lines for the start-up log.
    var lines: [String] {
        let description = source.description
        let first = description.layers.first?.attention
        return [
            "model      \(local.name) (\(description.family), \(description.layers.count) layers, hidden \(description.hiddenSize), "
                + "\(first?.heads ?? 0) heads, \(first?.kvHeads ?? 0) KV heads, vocabulary \(description.vocabularySize))",
            "backend    \(backendSummary)",
        ] + found + (served.pooled.map { ["gives      \($0.summary)"] } ?? []) + plan.lines + source.warnings.map { "warning    \($0)" }
    }
}

extension EngineOptions {
    var backendConfiguration: CPUBackend.Configuration {
        var configuration = CPUBackend.Configuration(threadCount: threads ?? Processors.available, maxBatchedTokens: maxNumBatchedTokens)
        configuration.precision = dtype.precision
        configuration.cacheType = kvCacheDtype.type
        return configuration
    }

    func engineConfiguration(maxModelLength: Int) -> EngineConfiguration {
        var configuration = EngineConfiguration(maxModelLength: maxModelLength)
        configuration.scheduler.tokensPerStep = maxNumBatchedTokens
        configuration.scheduler.sequences = maxNumSeqs
        configuration.scheduler.longPrefillTokens = longPrefillTokenThreshold
        configuration.scheduler.chunkedPrefill = enableChunkedPrefill
        configuration.scheduler.policy = schedulingPolicy.policy
        configuration.prefixCaching = enablePrefixCaching
        configuration.maxWaitingRequests = maxNumQueuedReqs
        configuration.maxWaitingTokens = maxNumQueuedTokens
        configuration.sampling.maxLogprobs = maxLogprobs
        configuration.samplingWorkers = threads ?? Processors.available
        return configuration
    }
}

/// Sampling defaults that the checkpoint carries.
enum ModelDefaults {
    static func read(_ local: LocalModel, _ source: ModelSource) throws -> GenerationDefaults {
        var defaults = GenerationDefaults()
        let generation = try source.checkpoint.generationConfig()
        defaults.temperature = generation.doSample == false ? nil : generation.temperature
        defaults.topP = generation.topP
        defaults.topK = generation.topK
        defaults.minP = generation.minP
        defaults.repetitionPenalty = generation.repetitionPenalty
        defaults.maxNewTokens = generation.maxNewTokens
        var ends = generation.eosTokens
        if ends.isEmpty {
            if let vocabulary = try source.checkpoint.vocabulary() {
                ends = [vocabulary.eos, vocabulary.eot, vocabulary.eom].compactMap { $0 }
            } else {
                let config = try source.checkpoint.config()
                ends = try config.value("eos_token_id")?.int.map { [$0] } ?? config.ints(optional: "eos_token_id") ?? []
            }
        }
        defaults.eosTokenIDs = ends.compactMap { Int32(exactly: $0) }
        return defaults
    }
}

/// When each phase of a start was over.
struct StartClock {
    private let clock = ContinuousClock()
    private var last: ContinuousClock.Instant
    private let begin: ContinuousClock.Instant
    private(set) var phases: [(name: String, milliseconds: Double)] = []

    init() {
        begin = clock.now
        last = begin
    }

    mutating func mark(_ name: String) {
        let now = clock.now
        phases.append((name, last.duration(to: now) / .milliseconds(1)))
        last = now
    }

    /// "0.21 s (locate 1 ms, open 3 ms, …)".
    var summary: String {
        let total = begin.duration(to: last) / .seconds(1)
        let parts = phases.map { "\($0.name) \(Int($0.milliseconds.rounded())) ms" }
        return "\((total * 100).rounded() / 100) s (\(parts.joined(separator: ", ")))"
    }
}
