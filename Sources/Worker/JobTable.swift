internal import Synchronization

/// The jobs of this worker: which run, how many more it may take, and how each is stopped.
final class JobTable: Sendable {
    /// Names one run of a job: a job that comes a second time runs anew.
    typealias Serial = Int

    private struct Entry {
        var job: String
        /// Number of the hand-out; nil where the platform numbers none.
        var attempt: Int?
        var task: Task<Void, Never>?
        /// Whether it still counts against the capacity; its result may be on the way.
        var holdsSlot = true
        var isStopped = false
        /// Stopped because the worker ends: another one is to have the job.
        var isGivenBack = false
    }

    private struct State {
        var entries: [Serial: Entry] = [:]
        var nextSerial: Serial = 0
        var isDraining = false
        var slotWaiter: CheckedContinuation<Void, Never>?
        var emptyWaiters: [CheckedContinuation<Void, Never>] = []
    }

    let capacity: Int
    private let state = Mutex(State())

    /// - Parameter capacity: jobs that run at once.
    init(capacity: Int) { self.capacity = max(1, capacity) }

    /// Ids of all jobs that were taken and have no acknowledged result, each once.
    var jobs: [String] {
        state.withLock { state in
            var seen: Set<String> = []
            return state.entries.sorted { $0.key < $1.key }.map(\.value.job).filter { seen.insert($0).inserted }
        }
    }

    var isEmpty: Bool { state.withLock { $0.entries.isEmpty } }
    var isDraining: Bool { state.withLock { $0.isDraining } }

    /// Waits for room.
    /// - Returns: jobs that there is room for; 0 when no more are to be taken. One caller at a time.
    func room() async -> Int {
        while true {
            let room: Int? = state.withLock { state in
                if state.isDraining { return 0 }
                let free = capacity - state.entries.values.count(where: \.holdsSlot)
                return free > 0 ? free : nil
            }
            if let room { return room }
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let ready = state.withLock { state in
                    let ready = state.isDraining || capacity > state.entries.values.count(where: \.holdsSlot)
                    if !ready { state.slotWaiter = continuation }
                    return ready
                }
                if ready { continuation.resume() }
            }
        }
    }

    /// Runs a job in a task of its own, as it must be possible to stop it alone. A former run of the same job is stopped first; a hand-out that
    /// comes a second time is passed over, as two runs under one number could not be told apart.
    func start(_ job: String, attempt: Int?, _ body: @escaping @Sendable (Serial) async -> Void) {
        let former = state.withLock { state in state.entries.filter { $0.value.job == job } }
        if let attempt, former.values.contains(where: { $0.attempt == attempt && !$0.isStopped }) { return }
        for serial in former.keys { stop(serial) }
        let serial = state.withLock { state in
            state.nextSerial += 1
            state.entries[state.nextSerial] = Entry(job: job, attempt: attempt)
            return state.nextSerial
        }
        let task = Task {
            for entry in former.values { await entry.task?.value }
            await body(serial)
        }
        let isStopped = state.withLock { state in
            state.entries[serial]?.task = task
            return state.entries[serial]?.isStopped ?? false
        }
        if isStopped { task.cancel() }
    }

    /// The job has ended; its result is on the way.
    func release(_ serial: Serial) {
        wake { state in state.entries[serial]?.holdsSlot = false }
    }

    /// Nothing is left to do for the job.
    func end(_ serial: Serial) {
        wake { state in state.entries[serial] = nil }
    }

    /// Stops a run; it posts nothing any more.
    func stop(_ serial: Serial) {
        let task = state.withLock { state in
            state.entries[serial]?.isStopped = true
            return state.entries[serial]?.task
        }
        task?.cancel()
    }

    /// - Returns: whether there was such a job.
    @discardableResult
    func stop(job: String) -> Bool {
        let serials = state.withLock { state in state.entries.filter { $0.value.job == job }.map(\.key) }
        for serial in serials { stop(serial) }
        return !serials.isEmpty
    }

    func stopAll() {
        for serial in state.withLock({ Array($0.entries.keys) }) { stop(serial) }
    }

    /// Stops what runs, for another worker to go on with.
    func giveAllBack() {
        let serials = state.withLock { state in
            let running = state.entries.filter { $0.value.holdsSlot && !$0.value.isStopped }.map(\.key)
            for serial in running { state.entries[serial]?.isGivenBack = true }
            return running
        }
        for serial in serials { stop(serial) }
    }

    func isGivenBack(_ serial: Serial) -> Bool { state.withLock { $0.entries[serial]?.isGivenBack ?? false } }

    func beginDraining() {
        wake { $0.isDraining = true }
    }

    func waitUntilEmpty() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let ready = state.withLock { state in
                if !state.entries.isEmpty { state.emptyWaiters.append(continuation) }
                return state.entries.isEmpty
            }
            if ready { continuation.resume() }
        }
    }

    private func wake(_ change: (inout sending State) -> Void) {
        let (slot, empty) = state.withLock { state in
            change(&state)
            let empty = state.entries.isEmpty ? state.emptyWaiters : []
            if state.entries.isEmpty { state.emptyWaiters = [] }
            defer { state.slotWaiter = nil }
            return (state.slotWaiter, empty)
        }
        slot?.resume()
        for waiter in empty { waiter.resume() }
    }
}
