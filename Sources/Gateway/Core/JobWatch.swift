internal import Jobs
internal import Synchronization

/// What happened to a job, for those who wait for it.
enum JobNotice: Sendable {
    /// Its state or progress is another; it is not over.
    case changed(Job)
    case ended(Job, JobResult)
    /// The job's relay has new chunks.
    case relayed
    /// Something changed that the store knows.
    case poke
}

/// Who waits for which job.
final class JobWatch: Sendable {
    private struct State {
        var next = 0
        var boxes: [JobID: [(key: Int, box: Mailbox<JobNotice>)]] = [:]
    }

    private let state = Mutex(State())

    /// Watches a job until the result is let go. Open it before reading the job's state: nothing is missed then.
    func open(_ id: JobID) -> Watching {
        let box = Mailbox<JobNotice>()
        let key = state.withLock { state in
            state.next += 1
            state.boxes[id, default: []].append((state.next, box))
            return state.next
        }
        return Watching(box: box) { [weak self] in self?.close(id, key) }
    }

    func tell(_ id: JobID, _ notice: JobNotice) {
        let boxes = state.withLock { $0.boxes[id] }
        for (_, box) in boxes ?? [] { box.put(notice) }
    }

    /// After something that may have touched any job.
    func tellEverybody() {
        let all = state.withLock { $0.boxes.values.flatMap { $0 } }
        for (_, box) in all { box.put(.poke) }
    }

    var count: Int { state.withLock { $0.boxes.count } }

    private func close(_ id: JobID, _ key: Int) {
        state.withLock { state in
            state.boxes[id]?.removeAll { $0.key == key }
            if state.boxes[id]?.isEmpty == true { state.boxes[id] = nil }
        }
    }

    /// One watcher's interest; ends when it is let go.
    final class Watching: Sendable {
        let box: Mailbox<JobNotice>
        private let end: @Sendable () -> Void

        init(box: Mailbox<JobNotice>, end: @escaping @Sendable () -> Void) {
            self.box = box
            self.end = end
        }

        deinit { end() }
    }
}
