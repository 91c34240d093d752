internal import Engine
internal import OpenAI
internal import Synchronization

/// Texts of one request in the engine, where they share steps with one another and with those of other requests.
final class PooledRun: Sendable {
    private struct State {
        var running: [Int: any Generation] = [:]
        var isCancelled = false
    }

    private let model: ServedModel
    private let pooling: PoolingRequest
    private let fields: PooledFields
    private let loraID: Int32?
    private let priority: Int?
    private let answersFullQueueWith429: Bool
    private let state = Mutex(State())

    /// Texts that wait in the engine at a time: enough for full steps, few beside its queue.
    private static let window = 256

    init(_ model: ServedModel, _ pooling: PoolingRequest, _ fields: PooledFields, loraID: Int32?, priority: Int?, _ options: ServerOptions) {
        self.model = model
        self.pooling = pooling
        self.fields = fields
        self.loraID = loraID
        self.priority = priority
        answersFullQueueWith429 = options.answersFullQueueWith429
    }

    /// The client is gone.
    func cancel() {
        let running = state.withLock { state in
            state.isCancelled = true
            return state.running
        }
        for generation in running.values { generation.cancel() }
    }

    /// `[items][rows * width]`, in order.
    func rows(_ items: [PooledItem]) async throws(APIError) -> [[Float]] {
        let window = max(1, min(Self.window, model.generator.configuration.maxWaitingRequests / 4))
        var rows: [[Float]] = []
        rows.reserveCapacity(items.count)
        var submitted = 0
        do throws(EngineError) {
            while rows.count < items.count {
                while submitted < items.count, submitted - rows.count < window {
                    try submit(items[submitted], submitted)
                    submitted += 1
                }
                rows.append(try await result(of: rows.count))
            }
        } catch {
            cancel()
            var refusal = APIError(error, answersFullQueueWith429: answersFullQueueWith429)
            if refusal.parameter == "prompt" { refusal.parameter = "input" }
            throw refusal
        }
        return rows
    }

    private func submit(_ item: PooledItem, _ index: Int) throws(EngineError) {
        var request = EngineRequest(pooling: pooling, of: item.ids)
        request.secondSegment = item.secondSegment
        request.priority = priority ?? fields.priority
        request.cacheSalt = fields.cacheSalt
        request.loraID = loraID
        let generation = try model.generator.submit(request)
        let isCancelled = state.withLock { state in
            state.running[index] = generation
            return state.isCancelled
        }
        if isCancelled { generation.cancel() }
    }

    private func result(of index: Int) async throws(EngineError) -> [Float] {
        guard let generation = state.withLock({ $0.running[index] }) else { return [] }
        var rows: [Float]?
        var reason = FinishReason.abort
        while let event = try await generation.next() {
            switch event {
            case .pooled(let values): rows = values
            case .finished(_, let ended, _): reason = ended
            case .started, .tokens: break
            }
        }
        state.withLock { $0.running[index] = nil }
        guard let rows else {
            throw .stepFailed(cause: reason == .length ? "the text does not fit the KV cache" : "the text was not computed; the request was aborted")
        }
        return rows
    }
}
