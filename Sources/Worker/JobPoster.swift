internal import JSON
internal import Logging
internal import Synchronization
internal import WorkerProtocol

/// Posts one job's partial outputs one after another, for gateways that take them singly. What piles up while a post is under way is merged.
final class JobPoster: Sendable {
    private struct State {
        var waiting: [Partial] = []
        var byteCount = 0
        var isClosed = false
        var reader: CheckedContinuation<Void, Never>?
        var writer: CheckedContinuation<Void, Never>?
        /// All partial outputs, as JSON with commas between.
        var aggregate = JSONWriter()
        var isGone = false
    }

    private static let mostBytes = 1 << 20
    /// Bytes of one partial output: Runpod takes 1 MB in a post.
    static let mostChunkBytes = 900_000

    private let job: String
    private let url: String
    private let client: GatewayClient
    private let patience: Double
    private let mostResultBytes: Int
    private let state = Mutex(State())

    init(job: String, url: String, client: GatewayClient, patience: Double, mostResultBytes: Int) {
        self.job = job
        self.url = url
        self.client = client
        self.patience = patience
        self.mostResultBytes = mostResultBytes
    }

    /// All partial outputs so far, in JSON with commas between; nil where they are more than a result may hold.
    var aggregate: [UInt8]? { state.withLock { $0.aggregate.bytes.count > mostResultBytes ? nil : $0.aggregate.bytes } }
    /// The gateway no longer knows the job.
    var isGone: Bool { state.withLock { $0.isGone } }

    /// Takes a partial output; waits while too much is unposted.
    func add(_ partial: Partial) async {
        let (reader, mustWait) = state.withLock { state in
            state.byteCount += partial.byteCount
            let isRoom = (state.waiting.last?.byteCount ?? 0) + partial.byteCount <= Self.mostChunkBytes / 2
            if state.waiting.isEmpty || !isRoom || !state.waiting[state.waiting.count - 1].merge(partial) {
                state.waiting.append(partial)
            }
            defer { state.reader = nil }
            return (state.reader, state.byteCount > Self.mostBytes && !state.isGone)
        }
        reader?.resume()
        guard mustWait else { return }
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let ready = state.withLock { state in
                let ready = state.byteCount <= Self.mostBytes || state.isGone
                if !ready { state.writer = continuation }
                return ready
            }
            if ready { continuation.resume() }
        }
    }

    func close() {
        let reader = state.withLock { state in
            state.isClosed = true
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume()
    }

    /// Posts until `close`, and then what is left; or until the gateway does not want it.
    func run() async {
        while let partial = await take() {
            var writer = JSONWriter(capacity: partial.byteCount + 64)
            writer.raw("{\"output\":")
            let start = writer.bytes.count
            partial.write(into: &writer)
            let end = writer.bytes.count
            writer.raw("}")
            state.withLock { state in
                // One byte over the limit is enough to know.
                guard state.aggregate.bytes.count <= mostResultBytes else { return }
                if !state.aggregate.bytes.isEmpty { state.aggregate.raw(",") }
                state.aggregate.bytes += writer.bytes[start..<end]
            }
            switch await client.post(url, writer.bytes, type: GatewayClient.formType, job: job, patience: patience) {
            case .accepted: continue
            case .refused(let status) where !Self.gone.contains(status):
                // It stays in the aggregate, and with that in the result.
                client.logger.warning(
                    "a partial output of \(writer.bytes.count) bytes was refused with HTTP \(status)", metadata: ["request_id": "\(job)"])
                continue
            case .refused(let status): client.logger.info("the gateway no longer wants the job: HTTP \(status)", metadata: ["request_id": "\(job)"])
            case .failed(let reason): client.logger.error("a partial output could not be posted: \(reason)", metadata: ["request_id": "\(job)"])
            }
            let writerWaiting = state.withLock { state in
                state.isGone = true
                defer { state.writer = nil }
                return state.writer
            }
            writerWaiting?.resume()
            return
        }
    }

    /// What says that nobody wants the job any more.
    private static let gone: Set<Int> = [401, 403, 404, 409, 410]

    private func take() async -> Partial? {
        while true {
            let (partial, writer, isClosed) = state.withLock { state -> (Partial?, CheckedContinuation<Void, Never>?, Bool) in
                guard !state.waiting.isEmpty else { return (nil, nil, state.isClosed) }
                let partial = state.waiting.removeFirst()
                state.byteCount = state.waiting.reduce(0) { $0 + $1.byteCount }
                let writer = state.byteCount <= Self.mostBytes ? state.writer : nil
                if writer != nil { state.writer = nil }
                return (partial, writer, state.isClosed)
            }
            writer?.resume()
            if let partial { return partial }
            if isClosed { return nil }
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let ready = state.withLock { state in
                    let ready = !state.waiting.isEmpty || state.isClosed
                    if !ready { state.reader = continuation }
                    return ready
                }
                if ready { continuation.resume() }
            }
        }
    }
}
