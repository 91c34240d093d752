internal import Engine
internal import Logging
internal import Synchronization

/// Batch after batch in one request.
extension BatchPoster {
    /// Opens a line if the gateway reads such and there is none.
    func openLine() {
        let line = state.withLock { state -> LongPost? in
            guard !state.isClosed, state.line.isDue(.now) else { return nil }
            let line = LongPost(on: eventLoop) { [weak self] line, event in self?.handle(event, of: line) }
            state.line.open(line)
            return line
        }
        line?.begin(addresses.streamBatches, client)
    }

    /// No more is coming.
    func closeLine() {
        let (line, stage) = state.withLock { state in
            let (line, stage) = (state.line.current, state.line.stage)
            if stage == .opening { _ = state.line.over(failed: false) }
            return (line, stage)
        }
        switch stage {
        case .opening: line?.abandon()
        case .open: line?.finish()
        case .closed, .ending: break
        }
    }

    /// - Returns: false where there is no line: it must go otherwise.
    func sendOnLine(_ entries: ArraySlice<PostEntry>) -> Bool {
        guard let (line, number, wantsAnswer) = state.withLock({ $0.line.send(entries) }) else { return false }
        line.send(number, Self.bytes(entries), wantsAnswer: wantsAnswer)
        return true
    }

    private func handle(_ event: LongPost.Event, of line: LongPost) {
        switch event {
        case .opened: state.withLock { if $0.line.current === line { $0.line.opened() } }
        case .finishing: state.withLock { if $0.line.current === line { $0.line.end() } }
        case .answered(let number, let gone):
            client.heard()
            let (confirmed, reader) = state.withLock { state -> ([PostEntry], CheckedContinuation<Void, Never>?) in
                guard state.line.current === line else { return ([], nil) }
                let confirmed = state.line.confirm(number)
                guard state.line.hasRoom, !state.entries.isEmpty else { return (confirmed, nil) }
                defer { state.reader = nil }
                return (confirmed, state.reader)
            }
            settle(confirmed, gone: gone)
            reader?.resume()
        case .over(let failure):
            if let failure { client.logger.debug("posting singly for a while: \(failure)") }
            let reader = state.withLock { state -> CheckedContinuation<Void, Never>? in
                guard state.line.current === line else { return nil }
                let lost = state.line.over(failed: failure != nil)
                // Before what came since.
                for serial in state.jobs.keys { state.jobs[serial]?.open = nil }
                state.entries.insert(contentsOf: lost, at: 0)
                state.byteCount += lost.reduce(0) { $0 + $1.byteCount }
                defer { state.reader = nil }
                return state.reader
            }
            reader?.resume()
        }
    }
}
