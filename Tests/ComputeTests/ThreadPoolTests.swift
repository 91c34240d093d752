import Compute
import Glibc
import Synchronization
import Testing

@Suite struct ThreadPoolTests {
    @Test(arguments: [1, 2, 3, 8])
    func runsEveryChunkOnce(_ threads: Int) {
        let pool = ThreadPool(threadCount: threads)
        for count in [0, 1, 2, 3, 17, 1000] {
            let counts = UnsafeMutablePointer<Int32>.allocate(capacity: max(1, count))
            counts.initialize(repeating: 0, count: max(1, count))
            defer { counts.deallocate() }
            let largestWorker = Atomic<Int>(0)
            pool.parallelFor(count) { chunk, worker in
                counts[chunk] += 1
                _ = largestWorker.max(worker, ordering: .relaxed)
            }
            #expect((0..<count).allSatisfy { counts[$0] == 1 })
            #expect(largestWorker.load(ordering: .relaxed) < threads)
        }
    }

    @Test func wakesAfterSleeping() {
        let pool = ThreadPool(threadCount: 2)
        let sum = Atomic<Int>(0)
        for _ in 0..<20 {
            pool.parallelFor(64) { chunk, _ in sum.add(chunk, ordering: .relaxed) }
            usleep(3_000)  // longer than a worker spins
        }
        #expect(sum.load(ordering: .relaxed) == 20 * 63 * 32)
    }

    @Test func manyLoopsInARow() {
        let pool = ThreadPool(threadCount: 4)
        let sum = Atomic<Int>(0)
        for _ in 0..<5_000 { pool.parallelFor(4) { _, _ in sum.add(1, ordering: .relaxed) } }
        #expect(sum.load(ordering: .relaxed) == 20_000)
    }

    /// The machine may give a worker's core to something else between two loops.
    @Test func aWorkerThatIsElsewhereIsNotWaitedFor() {
        let pool = ThreadPool(threadCount: 2)
        let worker = Atomic<UInt>(0)
        while worker.load(ordering: .relaxed) == 0 {
            pool.parallelFor(64) { _, number in
                if number == 1 {
                    Detention.allow()
                    worker.store(pthread_self(), ordering: .relaxed)
                }
                usleep(10)
            }
        }
        #expect(Detention.begin(worker.load(ordering: .relaxed)))
        let sum = Atomic<Int>(0)
        for _ in 0..<100 { pool.parallelFor(8) { chunk, number in sum.add(chunk + 1000 * number, ordering: .relaxed) } }
        #expect(Detention.isHeld, "the loops waited until the worker was let go")
        #expect(sum.load(ordering: .relaxed) == 100 * 28)
        Detention.end()
        while Detention.isHeld { usleep(100) }
        let threads = Atomic<Int>(0)
        while threads.load(ordering: .relaxed) < 1 {
            pool.parallelFor(64) { _, number in
                _ = threads.max(number, ordering: .relaxed)
                usleep(10)
            }
        }
    }
}

/// 1: a thread is held; 2: it may go.
private let detention = Atomic<Int>(0)

/// Holds a thread in a signal's handler, for ten seconds at most.
private enum Detention {
    static var isHeld: Bool { detention.load(ordering: .acquiring) != 0 }

    /// To be called by the thread: it may have been born with all signals blocked.
    static func allow() {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGUSR2)
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }

    static func begin(_ thread: pthread_t) -> Bool {
        signal(SIGUSR2) { _ in
            detention.store(1, ordering: .releasing)
            for _ in 0..<10_000 where detention.load(ordering: .acquiring) == 1 { usleep(1_000) }
            detention.store(0, ordering: .releasing)
        }
        pthread_kill(thread, SIGUSR2)
        for _ in 0..<20_000 where !isHeld { usleep(100) }
        return isHeld
    }

    static func end() { detention.store(2, ordering: .releasing) }
}
