import CKernels
import Glibc
import Synchronization

/// Persistent compute threads for parallel loops of microseconds.
///
/// The caller is worker 0; the others spin for a moment after each loop, so that the next one starts within a cache miss, and then sleep
/// until they are needed: an idle server uses no CPU. Chunks are handed out one by one, and the caller waits only for workers that have come
/// to its loop: a thread that the machine takes away for a while delays the chunk that it is in, or nothing. Which thread runs a chunk never
/// changes a result.
package final class ThreadPool: @unchecked Sendable {
    // Unchecked: `body` and `chunkCount` are written by the caller before it opens a loop in `loop` and read by workers that have entered it
    // there; the caller closes the loop and does not return before every worker that entered has left.
    package let threadCount: Int
    private var body: ((_ chunk: Int, _ worker: Int) -> Void)?
    private var chunkCount = 0
    private let nextChunk = Atomic<Int>(0)
    private let loop = Atomic<Int>(0)
    private let left = Atomic<Int>(0)
    private let sleepers = Atomic<Int>(0)
    private let stopping = Atomic<Bool>(false)
    private let startedWorkers = Atomic<Int>(0)
    /// Where the caller was when it last woke workers.
    private let callerCore = Atomic<Int>(-1)
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let wake: UnsafeMutablePointer<pthread_cond_t>
    private var threads: [pthread_t] = []

    /// What `loop` holds: the number of the latest loop, whether workers may enter it, and how many have.
    private struct Loop {
        static let open = 1 << 15
        static let number = 1 << 16
        let bits: Int
        var number: Int { bits >> 16 }
        var isOpen: Bool { bits & Self.open != 0 }
        var entrants: Int { bits & (Self.open - 1) }
    }

    /// Rounds of waiting before a worker sleeps, half a microsecond each after the first ones: long enough to bridge sampling and scheduling
    /// between two steps.
    private static let spinRounds = 2_000
    /// Rounds (about 40 ns each) in which a waiting worker keeps its core to itself.
    private static let pauseRounds = 200
    /// The same for the caller, which waits for less and on which all others wait: what else the machine has to do should take a worker's core.
    private static let callerPauseRounds = 1_000

    /// - Parameter threadCount: threads that run chunks, the caller included.
    package init(threadCount: Int) {
        self.threadCount = max(1, threadCount)
        mutex = .allocate(capacity: 1)
        wake = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(wake, nil)
        for _ in 1..<self.threadCount {
            var thread = pthread_t()
            let context = Unmanaged.passUnretained(self).toOpaque()
            let status = pthread_create(&thread, nil, { context in
                if let context {
                    let pool = Unmanaged<ThreadPool>.fromOpaque(context).takeUnretainedValue()
                    pool.work(as: pool.startedWorkers.wrappingAdd(1, ordering: .relaxed).newValue)
                }
                return nil
            }, context)
            // A machine that refuses threads still computes, on fewer of them.
            if status == 0 { threads.append(thread) }
        }
    }

    deinit {
        stopping.store(true, ordering: .sequentiallyConsistent)
        announce()
        for thread in threads { pthread_join(thread, nil) }
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(wake)
        mutex.deallocate()
        wake.deallocate()
    }

    /// Runs `body` for each chunk `0 ..< count` once, on the pool's threads; returns when all are done.
    ///
    /// `body` gets the chunk and the worker (`0 ..< threadCount`) that runs it, which names the scratch memory it may use.
    /// A loop on several threads makes one small allocation, by which Swift watches that `body` does not escape.
    /// Not to be called from inside `body`, nor from two threads at once.
    package func parallelFor(_ count: Int, _ body: (_ chunk: Int, _ worker: Int) -> Void) {
        guard count > 1, !threads.isEmpty else {
            for chunk in 0..<max(0, count) { body(chunk, 0) }
            return
        }
        withoutActuallyEscaping(body) { body in
            self.body = body
            chunkCount = count
            nextChunk.store(0, ordering: .relaxed)
            left.store(0, ordering: .relaxed)
            announce()
            takeChunks(as: 0)
            let entrants = Loop(bits: loop.bitwiseAnd(~Loop.open, ordering: .acquiringAndReleasing).oldValue).entrants
            var rounds = 0
            while left.load(ordering: .acquiring) < entrants { Self.pauseBriefly(&rounds, limit: Self.callerPauseRounds) }
            self.body = nil
        }
    }

    /// Opens the next loop, and wakes workers that sleep.
    private func announce() {
        let number = Loop(bits: loop.load(ordering: .relaxed)).number &+ 1
        loop.store(number &* Loop.number | Loop.open, ordering: .sequentiallyConsistent)
        if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
            callerCore.store(Int(nt_current_core()), ordering: .relaxed)
            pthread_mutex_lock(mutex)
            pthread_cond_broadcast(wake)
            pthread_mutex_unlock(mutex)
        }
    }

    private func takeChunks(as worker: Int) {
        guard let body else { return }
        let count = chunkCount
        while true {
            let chunk = nextChunk.wrappingAdd(1, ordering: .relaxed).oldValue
            if chunk >= count { return }
            body(chunk, worker)
        }
    }

    private func work(as worker: Int) {
        var seen = 0
        while true {
            seen = enterLoop(after: seen)
            if stopping.load(ordering: .acquiring) { return }
            takeChunks(as: worker)
            left.wrappingAdd(1, ordering: .acquiringAndReleasing)
        }
    }

    /// Waits for an open loop later than `seen`, enters it and returns its number.
    private func enterLoop(after seen: Int) -> Int {
        var (rounds, latest) = (0, seen)
        while true {
            let now = Loop(bits: loop.load(ordering: .acquiring))
            if now.isOpen, now.number != seen {
                // It may have been closed by now, or the next one opened.
                let entered = Loop(bits: loop.wrappingAdd(1, ordering: .acquiringAndReleasing).oldValue)
                if entered.isOpen { return entered.number }
            }
            if now.number != latest { (rounds, latest) = (0, now.number) }
            if rounds < Self.spinRounds { Self.pauseBriefly(&rounds, limit: Self.pauseRounds) } else { sleep(after: latest) }
        }
    }

    /// Until there is a loop later than `latest`.
    private func sleep(after latest: Int) {
        pthread_mutex_lock(mutex)
        sleepers.wrappingAdd(1, ordering: .sequentiallyConsistent)
        while Loop(bits: loop.load(ordering: .sequentiallyConsistent)).number == latest { pthread_cond_wait(wake, mutex) }
        sleepers.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        pthread_mutex_unlock(mutex)
        // The kernel may wake a worker on the caller's core and, where cores share no cache (as virtual machines often say), leave both
        // there for seconds beside an idle one.
        nt_leave_core(Int32(callerCore.load(ordering: .relaxed)))
    }

    /// Spins for `limit` rounds, then lets other threads have the core between two looks: the one waited for may need this very core.
    private static func pauseBriefly(_ rounds: inout Int, limit: Int) {
        rounds += 1
        if rounds > limit { sched_yield() } else { nt_cpu_pause() }
    }
}
