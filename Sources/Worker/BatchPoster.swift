internal import JSON
internal import Logging
internal import Synchronization
internal import WorkerProtocol

/// Posts the partial outputs and results of all jobs together. What piles up while a post is under way goes in the next: nothing waits for
/// a timer. A post is repeated until the gateway has it, which does no harm, as entries carry their places.
final class BatchPoster: Sendable {
    private struct Job {
        var id: String
        var attempt: Int
        var nextIndex: Int
        /// Place in `entries` of a partial output that more can be merged into.
        var open: Int?
    }

    private struct Entry {
        var serial: JobTable.Serial
        var job: String
        var attempt: Int
        var index: Int
        /// nil: the job's last entry.
        var partial: Partial?
        /// nil: the job goes back to the gateway.
        var result: [UInt8]?
        var isDiscarded = false
        /// The gateway did not take what it was.
        var isReplaced = false

        var byteCount: Int { partial?.byteCount ?? result?.count ?? 0 }
    }

    private struct State {
        var jobs: [JobTable.Serial: Job] = [:]
        var entries: [Entry] = []
        var byteCount = 0
        var isClosed = false
        var isWanted = false
        var reader: CheckedContinuation<Void, Never>?
        var writers: [CheckedContinuation<Void, Never>] = []
    }

    /// Bytes that may pile up before generations wait.
    private static let mostBytes = 4 << 20
    /// Bytes of a post, unless a single entry has more.
    private static let mostPostBytes = 16 << 20

    private let url: String
    private let client: GatewayClient
    private let table: JobTable
    /// Seconds that a post is tried again for.
    private let patience: Double
    private let state = Mutex(State())

    init(url: String, client: GatewayClient, table: JobTable, patience: Double) {
        self.url = url
        self.client = client
        self.table = table
        self.patience = patience
    }

    /// The gateway has said that it takes batches.
    func want() { state.withLock { $0.isWanted = true } }
    var isWanted: Bool { state.withLock { $0.isWanted } }

    // MARK: Jobs

    /// - Parameter firstIndex: partial outputs that earlier workers posted.
    func open(_ serial: JobTable.Serial, job: String, attempt: Int, firstIndex: Int) {
        state.withLock { $0.jobs[serial] = Job(id: job, attempt: attempt, nextIndex: firstIndex) }
    }

    func add(_ partial: Partial, _ serial: JobTable.Serial) async {
        let (reader, mustWait) = state.withLock { state -> (CheckedContinuation<Void, Never>?, Bool) in
            guard var job = state.jobs[serial] else { return (nil, false) }
            state.byteCount += partial.byteCount
            if let open = job.open, case .text? = state.entries[open].partial?.body,
                state.entries[open].partial?.merge(partial) == true
            {
                // It goes with what waits already.
            } else {
                job.open = state.entries.count
                state.entries.append(Entry(serial: serial, job: job.id, attempt: job.attempt, index: job.nextIndex, partial: partial))
                job.nextIndex += 1
                state.jobs[serial] = job
            }
            defer { state.reader = nil }
            return (state.reader, state.byteCount > Self.mostBytes)
        }
        reader?.resume()
        if mustWait { await waitForRoom() }
    }

    /// - Parameter result: body of the done post.
    func finish(_ result: [UInt8], _ serial: JobTable.Serial) { end(serial, result) }

    /// Another worker is to go on behind the partial outputs so far.
    func giveBack(_ serial: JobTable.Serial) { end(serial, nil) }

    private func end(_ serial: JobTable.Serial, _ result: [UInt8]?) {
        let (reader, isKnown) = state.withLock { state -> (CheckedContinuation<Void, Never>?, Bool) in
            guard let job = state.jobs.removeValue(forKey: serial) else { return (nil, false) }
            state.entries.append(Entry(serial: serial, job: job.id, attempt: job.attempt, index: 0, result: result))
            state.byteCount += result?.count ?? 0
            defer { state.reader = nil }
            return (state.reader, true)
        }
        // Discarded at the last moment: nothing will be posted that could end it.
        if !isKnown { table.end(serial) }
        reader?.resume()
    }

    /// The job is gone: what was not posted yet is not to be.
    func discard(_ serial: JobTable.Serial) {
        state.withLock { state in
            state.jobs[serial] = nil
            for place in state.entries.indices where state.entries[place].serial == serial { state.entries[place].isDiscarded = true }
        }
    }

    private func waitForRoom() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let ready = state.withLock { state in
                let ready = state.byteCount <= Self.mostBytes || state.isClosed
                if !ready { state.writers.append(continuation) }
                return ready
            }
            if ready { continuation.resume() }
        }
    }

    // MARK: Posting

    /// Posts until `close`, and then what is left.
    func run() async {
        while let entries = await take() {
            // A result that nobody wants any more is as good as posted.
            for entry in entries where entry.isDiscarded && entry.partial == nil { table.end(entry.serial) }
            var rest = entries.filter { !$0.isDiscarded }[...]
            while !rest.isEmpty {
                var byteCount = 0
                let count = rest.prefix { entry in
                    defer { byteCount += entry.byteCount }
                    return byteCount == 0 || byteCount + entry.byteCount <= Self.mostPostBytes
                }.count
                await post(rest.prefix(count))
                rest = rest.dropFirst(count)
            }
        }
        let writers = state.withLock { state in
            defer { state.writers = [] }
            return state.writers
        }
        for writer in writers { writer.resume() }
    }

    private func post(_ entries: ArraySlice<Entry>) async {
        var writer = JSONWriter(capacity: 4096)
        for entry in entries { ChunkBatch.append(Self.frame(entry), to: &writer) }
        let reason: String
        switch await client.post(url, writer.bytes, type: "application/octet-stream", patience: patience) {
        case .accepted(let answer): return settle(entries, gone: Self.gone(answer))
        case .refused(let status) where status == 400 || status == 413:
            // Only what is wrong is to suffer for it.
            guard let entry = entries.first, entries.count == 1 else {
                await post(entries.prefix(entries.count / 2))
                return await post(entries.dropFirst(entries.count / 2))
            }
            if let result = entry.result, !entry.isReplaced {
                var smaller = entry
                smaller.result = JobResultBody.refused(status: status, byteCount: result.count)
                smaller.isReplaced = true
                return await post([smaller])
            }
            reason = "HTTP \(status)"
        case .refused(let status): reason = "HTTP \(status)"
        case .failed(let why): reason = why
        }
        client.logger.error("partial outputs or results are not taken (\(reason)); their jobs are given up")
        settle(entries, gone: Set(entries.map(\.job)))
    }

    /// Ends `run` once all is posted.
    func close() {
        let reader = state.withLock { state in
            state.isClosed = true
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume()
    }

    /// What waits, at least one entry; nil once closed and empty.
    private func take() async -> [Entry]? {
        while true {
            let (entries, writers, isClosed) = state.withLock { state in
                let (entries, writers) = (state.entries, state.writers)
                state.entries = []
                state.byteCount = 0
                state.writers = []
                for serial in state.jobs.keys where state.jobs[serial]?.open != nil { state.jobs[serial]?.open = nil }
                return (entries, writers, state.isClosed)
            }
            for writer in writers { writer.resume() }
            if !entries.isEmpty { return entries }
            if isClosed { return nil }
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let ready = state.withLock { state in
                    let ready = !state.entries.isEmpty || state.isClosed
                    if !ready { state.reader = continuation }
                    return ready
                }
                if ready { continuation.resume() }
            }
            // Behind the other jobs' tasks, which the same step of the engine has woken: one post carries the whole step.
            await Task.yield()
        }
    }

    private static func frame(_ entry: Entry) -> ChunkFrame {
        guard let partial = entry.partial else {
            return ChunkFrame(job: entry.job, attempt: entry.attempt, index: 0, form: entry.result == nil ? .back : .done, body: entry.result ?? [])
        }
        var delta = JSONWriter(capacity: 64)
        partial.delta.write(into: &delta)
        let (form, body) = partial.frame
        return ChunkFrame(job: entry.job, attempt: entry.attempt, index: entry.index, form: form, resume: delta.bytes, body: body)
    }

    private static func gone(_ answer: [UInt8]) -> Set<String> {
        guard !answer.isEmpty, let list = (try? JSONValue(parsing: answer))?["gone"]?.array else { return [] }
        return Set(list.compactMap(\.string))
    }

    private func settle(_ entries: ArraySlice<Entry>, gone: Set<String>) {
        for entry in entries {
            if entry.partial == nil {
                table.end(entry.serial)
            } else if gone.contains(entry.job) {
                discard(entry.serial)
                table.stop(entry.serial)
            }
        }
    }
}
