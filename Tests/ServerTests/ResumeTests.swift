import Engine
import JSON
import OpenAI
import Sampling
import Server
import StandInModel
import Synchronization
import Testing

/// Streams that another worker goes on with: cut after every piece, what comes before and after must read as one.
@Suite struct ResumeTests {
    /// What a client makes of a stream.
    struct Transcript: Equatable {
        var texts: [Int: String] = [:]
        var logprobs: [Int: [String]] = [:]
        var tokenIDs: [Int: [Int]] = [:]
        var reasons: [Int: [String]] = [:]
        var openings: [Int: Int] = [:]
        var usage: [String] = []
        var heads: Set<String> = []
        var dones = 0

        init(_ text: String) {
            for event in text.split(separator: "\n\n") {
                let data = event.dropFirst(6)
                if data == "[DONE]" {
                    dones += 1
                    continue
                }
                guard let json = try? JSONValue(parsing: String(data)) else {
                    reasons[-1, default: []].append("unreadable: \(event)")
                    continue
                }
                heads.insert("\(json["id"]?.string ?? "") \(json["created"]?.int ?? -1) \(json["model"]?.string ?? "")")
                let choices = json["choices"]?.array ?? []
                if choices.isEmpty, let total = json["usage"] { usage.append(total.text) }
                for choice in choices {
                    let index = choice["index"]?.int ?? -1
                    texts[index, default: ""] += choice["text"]?.string ?? choice["delta"]?["content"]?.string ?? ""
                    if choice["delta"]?["role"] != nil { openings[index, default: 0] += 1 }
                    if let reason = choice["finish_reason"]?.string { reasons[index, default: []].append(reason + (choice["stop_reason"]?.text ?? "")) }
                    tokenIDs[index, default: []] += choice["token_ids"]?.array?.compactMap(\.int) ?? []
                    logprobs[index, default: []] += choice["logprobs"]?["content"]?.array?.map(\.text) ?? []
                    logprobs[index, default: []] += choice["logprobs"]?["tokens"]?.array?.map(\.text) ?? []
                    logprobs[index, default: []] += choice["logprobs"]?["text_offset"]?.array?.map(\.text) ?? []
                }
            }
            for key in logprobs.keys { logprobs[key]?.sort() }
        }
    }

    struct Piece: Sendable {
        var bytes: [UInt8]
        var advance: ReplyAdvance
    }

    static let seed: UInt64 = 77

    /// Choice i of prompt p draws with a seed of its own, which says what it tells; so resumed choices must come with the right one.
    static func service(_ scripts: [[Int32]], end: FinishReason = .length, maxModelLength: Int = 1000) -> LocalService {
        let generator = PacedGenerator(scripts: scripts, end: end, seed: seed, maxModelLength: maxModelLength)
        var defaults = GenerationDefaults()
        defaults.eosTokenIDs = [FakeText.eos]
        let model = ServedModel(
            names: ["fake"], root: "/models/fake", maxModelLength: maxModelLength, defaults: defaults, text: FakeText(), generator: generator)
        return LocalService(model: model, options: ServerOptions())
    }

    static func pieces(_ service: LocalService, _ path: String, _ body: String, _ progress: ReplyProgress?) async throws -> (pieces: [Piece], created: Int) {
        let request = LocalRequest(method: "POST", path: path, body: Array(body.utf8), id: "job", seed: seed, progress: progress)
        guard case .stream(let stream) = try await service.answer(request) else {
            Issue.record("no stream")
            return ([], 0)
        }
        let pieces = Mutex<[Piece]>([])
        try await stream.read { bytes, advance in pieces.withLock { $0.append(Piece(bytes: bytes, advance: advance)) } }
        return (pieces.withLock { $0 }, stream.created)
    }

    /// The whole stream, then for each of its cuts the part before the cut and what another run makes after it.
    static func check(_ path: String, _ body: String, _ scripts: [[Int32]], end: FinishReason = .length, atLeast cuts: Int = 3) async throws {
        let service = service(scripts, end: end)
        let (whole, created) = try await pieces(service, path, body, nil)
        let expected = Transcript(String(decoding: whole.flatMap(\.bytes), as: UTF8.self))
        #expect(expected.dones == 1)
        #expect(whole.count >= cuts, "too few pieces to cut between")
        for cut in 1...whole.count {
            var progress = ReplyProgress(hasBegun: true, created: created)
            for piece in whole[..<cut] {
                for (choice, ids) in piece.advance.tokens.enumerated() {
                    while progress.tokens.count <= choice { progress.tokens.append([]) }
                    progress.tokens[choice] += ids
                }
                progress.finished.formUnion(piece.advance.finished)
            }
            let rest = try await pieces(service, path, body, progress).pieces
            let text = String(decoding: (whole[..<cut] + rest).flatMap(\.bytes), as: UTF8.self)
            #expect(Transcript(text) == expected, "cut after piece \(cut) of \(whole.count)")
        }
    }

    static let words = FakeText.ids("Hello", " world", " one", "é", " two", " three", "!")
    static let chat = "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true,\"stream_options\":{\"include_usage\":true}"

    @Test func chatGoesOn() async throws {
        try await Self.check("/v1/chat/completions", "{\(Self.chat)}", [Self.words])
    }

    @Test func completionGoesOn() async throws {
        try await Self.check(
            "/v1/completions", "{\"prompt\":\"abc\",\"stream\":true,\"max_tokens\":7,\"stream_options\":{\"include_usage\":true,\"continuous_usage_stats\":true}}",
            [Self.words])
    }

    @Test func choicesGoOnByThemselves() async throws {
        let scripts: [[Int32]] = [Self.words, FakeText.ids(" three"), FakeText.ids(" two", " one", "!")]
        try await Self.check("/v1/chat/completions", "{\(Self.chat),\"n\":3}", scripts)
    }

    @Test func logprobsGoOn() async throws {
        try await Self.check("/v1/chat/completions", "{\(Self.chat),\"logprobs\":true,\"top_logprobs\":2,\"return_token_ids\":true}", [Self.words])
        try await Self.check("/v1/completions", "{\"prompt\":\"abc\",\"stream\":true,\"max_tokens\":7,\"logprobs\":1,\"return_token_ids\":true}", [Self.words])
    }

    @Test func stopStringsHalfSeenGoOn() async throws {
        // "one" is held back in part, let go, and matched later over three tokens.
        let script = FakeText.ids(" one") + Array("sw".utf8.map(Int32.init)) + FakeText.ids("Hello") + Array("swift ".utf8.map(Int32.init)) + FakeText.ids("!")
        try await Self.check("/v1/chat/completions", "{\(Self.chat),\"stop\":[\"swift\",\"zz\"]}", [script])
        try await Self.check("/v1/chat/completions", "{\(Self.chat),\"stop\":[\"swift\"],\"include_stop_str_in_output\":true,\"n\":2}", [script, Self.words])
    }

    @Test func charactersInPartsGoOn() async throws {
        let script = "añ✓🐦z".utf8.map { Int32($0) }
        try await Self.check("/v1/chat/completions", "{\(Self.chat)}", [script])
        // Ends inside a character.
        try await Self.check("/v1/chat/completions", "{\(Self.chat)}", [Array(script.dropLast(3))])
    }

    @Test func endTokensGoOn() async throws {
        try await Self.check("/v1/chat/completions", "{\(Self.chat),\"n\":2}", [Self.words + [FakeText.eos], FakeText.ids("Hello") + [FakeText.eos]], end: .stop)
    }

    @Test func intervalsGoOn() async throws {
        try await Self.check("/v1/chat/completions", "{\(Self.chat),\"stream_interval\":3}", [Self.words], atLeast: 2)
    }

    @Test func severalPromptsAndEchoGoOn() async throws {
        let body = "{\"prompt\":[\"abc\",\"de\"],\"stream\":true,\"max_tokens\":7,\"echo\":true,\"n\":2,\"return_token_ids\":true,\"stream_options\":{\"include_usage\":true}}"
        try await Self.check("/v1/completions", body, [Self.words, FakeText.ids(" one", " two")])
    }

    @Test func finishedAnswersSayNothingMore() async throws {
        let progress = ReplyProgress(hasBegun: true, tokens: [Self.words], finished: [0], created: 5)
        let rest = try await Self.pieces(Self.service([Self.words]), "/v1/chat/completions", "{\(Self.chat)}", progress).pieces
        #expect(rest.isEmpty)
    }

    /// The same id and seed, whatever the worker.
    @Test func repliesAreNamedAfterTheirJob() async throws {
        let service = Self.service([Self.words])
        let request = LocalRequest(method: "POST", path: "/v1/chat/completions", body: Array("{\(Self.chat)}".utf8), id: "job-7", seed: 1)
        guard case .stream(let stream) = try await service.answer(request) else {
            Issue.record("no stream")
            return
        }
        let text = Mutex("")
        try await stream.read { bytes, _ in text.withLock { $0 += String(decoding: bytes, as: UTF8.self) } }
        #expect(text.withLock { $0.contains("\"id\":\"chatcmpl-job-7\"") })
    }
}

/// Tells a script for each seed, token by token, with room between them for a reader to keep up.
private final class PacedGenerator: Generator {
    let configuration: EngineConfiguration
    private let scripts: [[Int32]]
    private let end: FinishReason
    private let seed: UInt64

    init(scripts: [[Int32]], end: FinishReason, seed: UInt64, maxModelLength: Int) {
        self.scripts = scripts
        self.end = end
        self.seed = seed
        configuration = EngineConfiguration(maxModelLength: maxModelLength)
    }

    func submit(_ request: EngineRequest) throws(EngineError) -> any Generation {
        var events: [GenerationEvent] = [FakeGenerator.start(request)]
        // Prompts have seeds far apart, their choices follow one another.
        let offset = (request.sampling.seed ?? 0) &- seed
        let first = offset < 100 ? Int(offset) : Int((offset &- 0x9E37_79B9_7F4A_7C15) % 100)
        let tails = (0..<request.sampling.n).map { scripts[(first + $0) % scripts.count].dropFirst(request.outputTokensSoFar.count) }
        for step in 0..<(tails.map(\.count).max() ?? 0) {
            for (choice, tail) in tails.enumerated() where step < tail.count {
                events.append(FakeGenerator.tokens([tail[tail.startIndex + step]], choice: choice, request))
                if step == tail.count - 1 { events.append(.finished(choice: choice, reason: end, stopTokenID: nil)) }
            }
        }
        for (choice, tail) in tails.enumerated() where tail.isEmpty { events.append(.finished(choice: choice, reason: end, stopTokenID: nil)) }
        return PacedGeneration(events)
    }

    func cancelAll() {}
    var snapshot: EngineSnapshot { EngineSnapshot(maxModelLength: configuration.maxModelLength) }
    var currentStepDuration: Duration? { nil }
    var isAlive: Bool { true }
}

private final class PacedGeneration: Generation {
    private let events: Mutex<ArraySlice<GenerationEvent>>

    init(_ events: [GenerationEvent]) { self.events = Mutex(events[...]) }

    func next() async throws(EngineError) -> GenerationEvent? {
        for _ in 0..<50 { await Task.yield() }
        return events.withLock { $0.popFirst() }
    }

    func cancel() { events.withLock { $0 = [] } }
}
