import Compute
import Synchronization
import Testing

extension IntegrationTests {
    /// Threads that share a core hand it to each other: many more of them than cores still get through many short loops.
    @Suite struct CrowdedPoolTests {
        @Test func moreThreadsThanCores() {
            let pool = ThreadPool(threadCount: 16)
            let chunks = Atomic<Int>(0)
            for _ in 0..<1_000 { pool.parallelFor(16) { _, _ in chunks.add(1, ordering: .relaxed) } }
            #expect(chunks.load(ordering: .relaxed) == 16_000)
        }
    }
}
