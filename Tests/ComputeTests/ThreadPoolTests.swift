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
}
