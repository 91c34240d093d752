internal import NIOCore
internal import Synchronization

/// Sends the partial outputs and results of all jobs together. Nothing waits for a timer: what piles up while a post is under way goes in the next, and
/// where the gateway reads batch after batch in one request (`LongPost`), what a step of the engine has made leaves as it comes. What the gateway has
/// not confirmed is sent again, which does no harm, as entries carry their places.
///
/// Entries of one job must arrive in order: there is one way at a time, and the next begins where all of the former is confirmed or taken back.
final class BatchPoster: Sendable {
    struct Job {
        var id: String
        var attempt: Int
        var nextIndex: Int
        /// Place in `entries` of a partial output that more can be merged into.
        var open: Int?
    }

    struct State {
        var jobs: [JobTable.Serial: Job] = [:]
        /// What waits to be sent.
        var entries: [PostEntry] = []
        var byteCount = 0
        var isClosed = false
        var isWanted = false
        var line = PosterLine()
        var reader: CheckedContinuation<Void, Never>?
        var writers: [CheckedContinuation<Void, Never>] = []
    }

    /// Bytes that may pile up before generations wait.
    static let mostBytes = 4 << 20
    /// Bytes of a post, unless a single entry has more.
    static let mostPostBytes = 16 << 20

    let addresses: GatewayAddresses
    let client: GatewayClient
    let table: JobTable
    /// Seconds that a post is tried again for.
    let patience: Double
    /// Where posts are made, and the long one is written and answered.
    let eventLoop: any EventLoop
    let state = Mutex(State())

    init(addresses: GatewayAddresses, client: GatewayClient, table: JobTable, patience: Double, on eventLoop: any EventLoop) {
        self.addresses = addresses
        self.client = client
        self.table = table
        self.patience = patience
        self.eventLoop = eventLoop
    }

    /// The gateway has said that it takes batches.
    /// - Parameter inOneRequest: also one after another in one request.
    func want(inOneRequest: Bool) {
        state.withLock { state in
            state.isWanted = true
            state.line.isOffered = inOneRequest
        }
    }
    var isWanted: Bool { state.withLock { $0.isWanted } }

    // MARK: Jobs

    /// - Parameter firstIndex: partial outputs that earlier workers posted.
    func open(_ serial: JobTable.Serial, job: String, attempt: Int, firstIndex: Int) {
        state.withLock { $0.jobs[serial] = Job(id: job, attempt: attempt, nextIndex: firstIndex) }
        openLine()
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
                state.entries.append(PostEntry(serial: serial, job: job.id, attempt: job.attempt, index: job.nextIndex, partial: partial))
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
            state.entries.append(PostEntry(serial: serial, job: job.id, attempt: job.attempt, index: 0, result: result))
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
            state.line.discard(serial)
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
}
