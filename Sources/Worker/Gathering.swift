internal import JSON
internal import Server
internal import Synchronization
internal import WorkerProtocol

/// Events of a stream into partial outputs.
final class EventGathering: Sendable {
    private struct State {
        var meter: TokenBatching.Meter?
        var waiting: Partial?
        /// Seconds-since-1970 of the reply, for the first partial output.
        var created: Int?
        var since = ContinuousClock.now
    }

    /// Text does not wait longer than this for more, as long as more comes.
    private static let longestWait = Duration.milliseconds(100)

    private let isRaw: Bool
    private let emit: @Sendable (Partial) async -> Void
    private let state: Mutex<State>

    /// - Parameters:
    ///   - batching: nil: every piece goes on at once.
    ///   - isRaw: the text of the events; else lists of their objects.
    ///   - created: of the reply, if no earlier partial output told it.
    init(batching: TokenBatching?, isRaw: Bool, created: Int?, emit: @escaping @Sendable (Partial) async -> Void) {
        self.isRaw = isRaw
        self.emit = emit
        state = Mutex(State(meter: batching.map(TokenBatching.Meter.init), created: created))
    }

    func take(_ bytes: [UInt8], _ advance: ReplyAdvance) async throws {
        let ready: Partial? = state.withLock { state in
            var delta = ResumeDelta(tokens: advance.tokens, finished: advance.finished)
            delta.created = state.created
            state.created = nil
            let piece = Partial(body: isRaw ? .text(bytes) : .list(EventText.objects(bytes)), delta: delta)
            guard var meter = state.meter else { return piece }
            let isFull = meter.count(EventText.count(bytes))
            state.meter = meter
            if state.waiting == nil { state.since = .now }
            if state.waiting?.merge(piece) != true { state.waiting = piece }
            guard isFull || ContinuousClock.now - state.since > Self.longestWait else { return nil }
            defer { state.waiting = nil }
            return state.waiting
        }
        if let ready, ready.byteCount > 0 { await emit(ready) }
    }

    func finish() async {
        let rest = state.withLock { state in
            defer { state.waiting = nil }
            return state.waiting
        }
        if let rest { await emit(rest) }
    }
}

/// The text of an event stream.
enum EventText {
    private static let prefix = Array("data: ".utf8)

    static func count(_ bytes: [UInt8]) -> Int {
        var count = 0
        for place in bytes.indices.dropFirst() where bytes[place] == 0x0A && bytes[place - 1] == 0x0A { count += 1 }
        return count
    }

    /// The objects of the events with commas between; `[DONE]` and comments left out.
    static func objects(_ bytes: [UInt8]) -> [UInt8] {
        var objects: [UInt8] = []
        objects.reserveCapacity(bytes.count)
        for line in bytes.split(separator: 0x0A) where line.starts(with: prefix) {
            let data = line.dropFirst(prefix.count)
            guard data.first == UInt8(ascii: "{") else { continue }
            if !objects.isEmpty { objects.append(UInt8(ascii: ",")) }
            objects += data
        }
        return objects
    }
}

/// Texts of tokens into native partial outputs.
final class UpdateGathering: Sendable {
    private struct State {
        var meter: TokenBatching.Meter?
        var waiting: NativePartial
        var delta = ResumeDelta(tokens: [])
        var outputTokens: Int
        var created: Int?
        var hasText = false
        /// Without a stream: the whole text of each choice.
        var whole: [[UInt8]]
    }

    private let emit: @Sendable (Partial) async -> Void
    private let state: Mutex<State>
    private let promptTokens: Int
    private let choices: Int
    private let isStream: Bool
    private let wasWhole: Bool
    private let mostUpdates: Int

    /// - Parameters:
    ///   - batching: nil gives one partial output with the whole texts.
    ///   - progress: of earlier workers.
    init(
        batching: TokenBatching?, choices: Int, promptTokens: Int, progress: ReplyProgress?, created: Int,
        emit: @escaping @Sendable (Partial) async -> Void
    ) {
        self.emit = emit
        self.promptTokens = promptTokens
        self.choices = choices
        isStream = batching != nil
        wasWhole = progress != nil
        let before = progress?.tokens.reduce(0) { $0 + $1.count } ?? 0
        mostUpdates = max(1, batching?.most ?? 1)
        var meter = batching.map(TokenBatching.Meter.init)
        meter?.pass(before)
        state = Mutex(
            State(
                meter: meter, waiting: Self.empty(choices, promptTokens, mostUpdates), outputTokens: before, created: progress == nil ? created : nil,
                whole: Array(repeating: [], count: choices)))
    }

    private static func empty(_ choices: Int, _ promptTokens: Int, _ mostUpdates: Int) -> NativePartial {
        NativePartial(tokens: Array(repeating: [], count: choices), inputTokens: promptTokens, outputTokens: 0, mostUpdates: mostUpdates)
    }

    func take(_ updates: [TextUpdate]) async throws {
        let ready = state.withLock { state in
            var ready: [Partial] = []
            for update in updates {
                if update.token != nil { state.outputTokens += 1 }
                guard isStream else {
                    state.whole[update.choice] += update.text
                    continue
                }
                if update.token == nil {
                    addRest(update, &state)
                    continue
                }
                note(update, &state)
                state.waiting.tokens[update.choice].append(update.text)
                state.hasText = true
                if state.meter?.count() == true { ready.append(flush(&state)) }
            }
            return ready
        }
        for partial in ready { await emit(partial) }
    }

    /// Text that was held back belongs to the choice's last token where that still waits.
    private func addRest(_ update: TextUpdate, _ state: inout State) {
        if update.isLast { state.delta.finished.append(update.choice) }
        guard !update.text.isEmpty else { return }
        if let last = state.waiting.tokens[update.choice].indices.last {
            state.waiting.tokens[update.choice][last] += update.text
        } else {
            state.waiting.tokens[update.choice].append(update.text)
        }
        state.hasText = true
    }

    private func note(_ update: TextUpdate, _ state: inout State) {
        while state.delta.tokens.count <= update.choice { state.delta.tokens.append([]) }
        if let token = update.token { state.delta.tokens[update.choice].append(token) }
        if update.isLast { state.delta.finished.append(update.choice) }
    }

    private func flush(_ state: inout State) -> Partial {
        var native = state.waiting
        native.outputTokens = state.outputTokens
        var delta = state.delta
        delta.created = state.created
        state.created = nil
        state.delta = ResumeDelta(tokens: [])
        state.waiting = Self.empty(choices, promptTokens, mostUpdates)
        state.hasText = false
        return Partial(body: .native(native), delta: delta)
    }

    func finish() async {
        let rest: Partial? = state.withLock { state in
            if !isStream {
                // An earlier worker posted it, and was lost before the result.
                if wasWhole { return nil }
                state.delta.finished = Array(0..<choices)
                state.waiting.tokens = state.whole.map { [$0] }
                return flush(&state)
            }
            // The ends of choices alone are nothing to post: the result follows.
            return state.hasText ? flush(&state) : nil
        }
        if let rest { await emit(rest) }
    }
}
