package import Engine
import JSON
package import OpenAI
import Prometheus
package import Sampling
package import Server
package import Synchronization

/// Bytes are tokens 0...255; 256 is EOS, 257 BOS; from 300 on stand the words.
package struct FakeText: TextModel {
    package init() {}

    package static let eos: Int32 = 256, bos: Int32 = 257
    package static let words = ["Hello", " world", "!", " one", " two", " three", "é", " <stop>", "\n"]

    package static func ids(_ words: String...) -> [Int32] { words.map { Int32(300 + (Self.words.firstIndex(of: $0) ?? 0)) } }

    package func encode(_ text: String, addSpecialTokens: Bool) throws(APIError) -> [Int32] {
        (addSpecialTokens ? [Self.bos] : []) + text.utf8.map { Int32($0) }
    }

    package func encodePair(_ first: String, _ second: String) throws(APIError) -> (ids: [Int32], secondSegment: Int?) {
        let head = try encode(first, addSpecialTokens: true)
        return (head + (try encode(second, addSpecialTokens: true)), head.count)
    }

    package func decode(_ ids: [Int32], skipSpecialTokens: Bool, spacesBetweenSpecialTokens: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        for id in ids where !(skipSpecialTokens && (id == Self.eos || id == Self.bos)) { bytes += text(of: id) }
        return Array(String(decoding: bytes, as: UTF8.self).utf8)
    }

    package func text(of id: Int32) -> [UInt8] {
        switch id {
        case 0...255: [UInt8(id)]
        case Self.eos: Array("<eos>".utf8)
        case Self.bos: Array("<bos>".utf8)
        case 300..<Int32(300 + Self.words.count): Array(Self.words[Int(id) - 300].utf8)
        default: []
        }
    }

    package func spelling(of id: Int32) -> String? { String(decoding: text(of: id), as: UTF8.self) }

    package func render(_ conversation: Conversation) throws(APIError) -> String {
        conversation.messages(content: .string, developerAsSystem: true).map { "<\($0["role"]?.string ?? "")>\($0["content"]?.string ?? "")" }.joined()
            + (conversation.addGenerationPrompt ? "<assistant>" : "")
    }

    package func makeDetokenizer(after prompt: [Int32], skipSpecialTokens: Bool, spacesBetweenSpecialTokens: Bool) -> any Detokenizer {
        FakeDetokenizer(model: self, skipSpecialTokens: skipSpecialTokens)
    }

    package var vocabularySize: Int { 300 + Self.words.count }
    package var longestTokenBytes: Int { 7 }
    package var truncatesFromLeft: Bool { true }
}

package struct FakeDetokenizer: Detokenizer {
    package let model: FakeText
    package let skipSpecialTokens: Bool
    private var held: [UInt8] = []

    package init(model: FakeText, skipSpecialTokens: Bool) {
        self.model = model
        self.skipSpecialTokens = skipSpecialTokens
    }

    package mutating func append(_ id: Int32, to text: inout [UInt8]) {
        if skipSpecialTokens, id == FakeText.eos || id == FakeText.bos { return }
        held += model.text(of: id)
        if String(validating: held, as: UTF8.self) != nil {
            text += held
            held = []
        }
    }

    package mutating func finish(into text: inout [UInt8]) {
        text += Array(String(decoding: held, as: UTF8.self).utf8)
        held = []
    }
}

/// Plays a script instead of running a model.
package final class FakeGenerator: Generator {
    package enum Plan: Sendable {
        /// Tokens, a pause of nothing between them, then this end.
        case tokens([Int32], FinishReason, stop: Int32? = nil)
        case refuse(EngineError)
        case fail(after: [Int32], EngineError)
        /// These tokens, then nothing until cancelled.
        case hang(after: [Int32])
        /// Whatever the script says.
        case events([GenerationEvent])
    }

    package struct Log {
        package var requests: [EngineRequest] = []
        package var cancelled = 0
    }

    package let log = Mutex(Log())
    package let configuration: EngineConfiguration
    private let running = Mutex<[FakeGeneration]>([])
    private let plan: @Sendable (EngineRequest) -> Plan
    private let stuckFor = Mutex<Duration?>(nil)

    package init(maxModelLength: Int = 1000, _ plan: @escaping @Sendable (EngineRequest) -> Plan) {
        configuration = EngineConfiguration(maxModelLength: maxModelLength)
        self.plan = plan
    }

    package func submit(_ request: EngineRequest) throws(EngineError) -> any Generation {
        do {
            try request.sampling.validate(vocabularySize: 310)
        } catch {
            throw .invalidParameter(error)
        }
        log.withLock { $0.requests.append(request) }
        var events: [GenerationEvent] = [Self.start(request)]
        var end: Result<Void, EngineError>? = .success(())
        func say(_ tokens: [Int32], _ reason: FinishReason?, _ stop: Int32?) {
            for choice in 0..<request.sampling.n {
                for id in tokens { events.append(Self.tokens([id], choice: choice, request)) }
                guard let reason else { continue }
                events.append(
                    .finished(choice: choice, reason: reason, stopTokenID: stop))
            }
        }
        switch plan(request) {
        case .refuse(let error): throw error
        case .tokens(let tokens, let reason, let stop): say(tokens, reason, stop)
        case .fail(let tokens, let error):
            say(tokens, nil, nil)
            end = .failure(error)
        case .hang(let tokens):
            say(tokens, nil, nil)
            end = nil
        case .events(let script): events += script
        }
        let generation = FakeGeneration(events: events, end: end, choices: request.sampling.n) { [self] in log.withLock { $0.cancelled += 1 } }
        running.withLock { $0.append(generation) }
        return generation
    }

    package static func start(_ request: EngineRequest) -> GenerationEvent {
        var logprobs: [PositionLogprobs?] = []
        if request.sampling.promptLogprobs != nil {
            logprobs = request.promptTokenIDs.enumerated().map { $0.offset == 0 ? nil : position($0.element, request.sampling.promptLogprobs ?? 0) }
        }
        return .started(cachedPromptTokens: 3, promptLogprobs: logprobs)
    }

    package static func tokens(_ ids: [Int32], choice: Int, _ request: EngineRequest) -> GenerationEvent {
        .tokens(
            choice: choice, ids: ids, logprobs: request.sampling.logprobs.map { top in ids.map { position($0, top) } } ?? [])
    }

    package static func position(_ id: Int32, _ top: Int) -> PositionLogprobs {
        let chosen = TokenLogprob(token: id, logprob: -0.5, rank: 2)
        let others = [TokenLogprob(token: 65, logprob: -0.25, rank: 1), chosen, TokenLogprob(token: 66, logprob: -.infinity, rank: 3)]
        return PositionLogprobs(chosen: chosen, top: Array(others.prefix(max(0, top))))
    }

    package func setStuck(_ duration: Duration?) { stuckFor.withLock { $0 = duration } }
    package func cancelAll() { for generation in running.withLock({ $0 }) { generation.cancel() } }
    package var snapshot: EngineSnapshot {
        var snapshot = EngineSnapshot(maxModelLength: configuration.maxModelLength)
        snapshot.runningRequests = 2
        snapshot.timeToFirstToken.observe(0.03)
        return snapshot
    }
    package var currentStepDuration: Duration? { stuckFor.withLock { $0 } }
    package var isAlive: Bool { true }
}

package final class FakeGeneration: Generation {
    private struct State {
        var events: ArraySlice<GenerationEvent>
        var end: Result<Void, EngineError>?
        var isCancelled = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state: Mutex<State>
    private let choices: Int
    private let onCancel: @Sendable () -> Void

    package init(events: [GenerationEvent], end: Result<Void, EngineError>?, choices: Int, onCancel: @escaping @Sendable () -> Void) {
        state = Mutex(State(events: events[...], end: end))
        self.choices = choices
        self.onCancel = onCancel
    }

    package func next() async throws(EngineError) -> GenerationEvent? {
        while true {
            let step: Result<GenerationEvent?, EngineError>? = state.withLock { state in
                if let event = state.events.popFirst() { return .success(event) }
                return state.end?.map { nil }
            }
            if let step { return try step.get() }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let ready = state.withLock { state in
                        if state.end == nil { state.waiter = continuation }
                        return state.end != nil
                    }
                    if ready { continuation.resume() }
                }
            } onCancel: {
                cancel()
            }
        }
    }

    package func cancel() {
        let (first, waiter) = state.withLock { state in
            let first = !state.isCancelled && state.end == nil
            state.isCancelled = true
            if state.end == nil {
                state.end = .success(())
                state.events += (0..<choices).map {
                    .finished(choice: $0, reason: .abort, stopTokenID: nil)
                }
            }
            defer { state.waiter = nil }
            return (first, state.waiter)
        }
        if first { onCancel() }
        waiter?.resume()
    }
}
