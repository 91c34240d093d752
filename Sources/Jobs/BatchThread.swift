internal import Glibc

/// Threads of their own that work off what callers bring, all that waits at a time. Stores commit through one: batches come from what piles up
/// during a commit, there is no timer, and no thread of the cooperative pool ever waits for a disk or a socket.
///
/// Sendable because all mutable state is touched with `mutex` held.
package final class BatchThread<Item: Sendable>: @unchecked Sendable {
    /// Does a batch. Made and called on one and the same thread, so that it may own a connection.
    /// - moreWaits: whether other items were left waiting.
    package typealias Work = (_ batch: [Item], _ moreWaits: Bool) -> Void

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let weight: @Sendable (Item) -> Int
    private let weightLimit: Int
    private var waiting: [Item] = []
    private var isClosed = false
    private var threads: Int
    private var closers: [CheckedContinuation<Void, Never>] = []

    /// - Parameters:
    ///   - weightLimit: most that a batch may weigh; it holds one item at least.
    ///   - makeWork: called once on each thread.
    package init(
        threads: Int = 1, weightLimit: Int, weight: @escaping @Sendable (Item) -> Int, _ makeWork: @escaping @Sendable () -> Work
    ) {
        self.threads = threads
        self.weight = weight
        self.weightLimit = weightLimit
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
        for _ in 0..<threads {
            startThread { [self] in run(makeWork()) }
        }
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// - Returns: false once closed: the item will not be worked on.
    package func post(_ item: Item) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !isClosed else { return false }
        waiting.append(item)
        pthread_cond_signal(condition)
        return true
    }

    /// Takes no more items; returns when those that waited are done and the threads have ended.
    package func close() async {
        await withCheckedContinuation { continuation in
            pthread_mutex_lock(mutex)
            isClosed = true
            let isOver = threads == 0
            if !isOver { closers.append(continuation) }
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(mutex)
            if isOver { continuation.resume() }
        }
    }

    private func run(_ work: Work) {
        while let (batch, moreWaits) = next() { work(batch, moreWaits) }
    }

    private func next() -> (batch: [Item], moreWaits: Bool)? {
        pthread_mutex_lock(mutex)
        while waiting.isEmpty, !isClosed { pthread_cond_wait(condition, mutex) }
        guard !waiting.isEmpty else {
            threads -= 1
            let ended = threads == 0 ? closers : []
            if threads == 0 { closers = [] }
            pthread_mutex_unlock(mutex)
            for closer in ended { closer.resume() }
            return nil
        }
        var count = 1
        var total = weight(waiting[0])
        while count < waiting.count {
            total += weight(waiting[count])
            if total > weightLimit { break }
            count += 1
        }
        let batch: [Item]
        if count == waiting.count {
            batch = waiting
            waiting = []
        } else {
            batch = Array(waiting[..<count])
            waiting.removeFirst(count)
            pthread_cond_signal(condition)
        }
        let moreWaits = !waiting.isEmpty
        pthread_mutex_unlock(mutex)
        return (batch, moreWaits)
    }
}

/// Runs `body` on a thread of its own.
private func startThread(_ body: @escaping @Sendable () -> Void) {
    final class Box {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    let box = Unmanaged.passRetained(Box(body)).toOpaque()
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    var thread = pthread_t()
    let status = pthread_create(
        &thread, &attributes,
        { argument in
            if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
            return nil
        }, box)
    pthread_attr_destroy(&attributes)
    precondition(status == 0, "the system refused a thread: error \(status)")
}
