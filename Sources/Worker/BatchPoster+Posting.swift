internal import JSON
internal import Logging
internal import Synchronization
internal import WorkerProtocol

/// From what waits to the gateway.
extension BatchPoster {
    /// Sends until `close`, and then what is left. On the event loop.
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
                if !sendOnLine(rest.prefix(count)) {
                    await post(rest.prefix(count))
                    openLine()
                }
                rest = rest.dropFirst(count)
            }
        }
        let writers = state.withLock { state in
            defer { state.writers = [] }
            return state.writers
        }
        for writer in writers { writer.resume() }
    }

    /// Ends `run` once all is sent.
    func close() {
        let reader = state.withLock { state in
            state.isClosed = true
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume()
    }

    /// What waits, at least one entry; nil once closed and empty.
    private func take() async -> [PostEntry]? {
        while true {
            let (entries, writers, isOver) = state.withLock { state -> ([PostEntry], [CheckedContinuation<Void, Never>], Bool) in
                guard state.line.hasRoom else { return ([], [], false) }
                let (entries, writers) = (state.entries, state.writers)
                state.entries = []
                state.byteCount = 0
                state.writers = []
                for serial in state.jobs.keys where state.jobs[serial]?.open != nil { state.jobs[serial]?.open = nil }
                return (entries, writers, state.isClosed && state.line.isClosed)
            }
            for writer in writers { writer.resume() }
            if !entries.isEmpty { return entries }
            if isOver { return nil }
            if state.withLock({ $0.isClosed }) { closeLine() }
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let ready = state.withLock { state in
                    let ready = state.line.hasRoom && (!state.entries.isEmpty || (state.isClosed && state.line.isClosed))
                    if !ready { state.reader = continuation }
                    return ready
                }
                if ready { continuation.resume() }
            }
            // Behind the other jobs' tasks, which the same step of the engine has woken: one post carries the whole step.
            await Task.yield()
        }
    }

    // MARK: In requests of their own

    private func post(_ entries: ArraySlice<PostEntry>) async {
        let reason: String
        switch await client.post(addresses.streamBatch, Self.bytes(entries), type: "application/octet-stream", patience: patience) {
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

    static func bytes(_ entries: ArraySlice<PostEntry>) -> [UInt8] {
        var writer = JSONWriter(capacity: 4096)
        for entry in entries { ChunkBatch.append(entry.frame, to: &writer) }
        return writer.bytes
    }

    private static func gone(_ answer: [UInt8]) -> Set<String> {
        guard !answer.isEmpty, let list = (try? JSONValue(parsing: answer))?["gone"]?.array else { return [] }
        return Set(list.compactMap(\.string))
    }

    /// The gateway has them.
    /// - Parameter gone: jobs that are no longer ours.
    func settle(_ entries: some Sequence<PostEntry>, gone: Set<String>) {
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
