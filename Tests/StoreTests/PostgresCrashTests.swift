import Glibc
import Jobs
import PostgresStore
import Synchronization
import Testing

/// A server of the test's own, started by `Scripts/with-postgres.sh`, killed under load and started again.
@Suite(.enabled(if: Backing.server != nil, "NEEDLETAIL_TEST_POSTGRES is not set: run under Scripts/with-postgres.sh"))
struct PostgresCrashTests {
    private static var script: String {
        let folders = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
        return folders.joined(separator: "/") + "/Scripts/with-postgres.sh"
    }

    @Test func aKilledServerLosesNothingAndCountsNothingTwice() async throws {
        try await withFolder { folder in
            let facts = folder + "/facts"
            let server = try Child(
                [
                    "/bin/bash", Self.script, "/bin/sh", "-c",
                    "echo $NEEDLETAIL_TEST_POSTGRES; echo $NEEDLETAIL_TEST_POSTGRES_DATA; echo $NEEDLETAIL_TEST_POSTGRES_START; exec sleep 600",
                ], output: facts)
            defer {
                server.kill(SIGTERM)
                _ = server.wait()
            }
            #expect(try await eventually { Child.lines(facts).count == 3 })
            let lines = Child.lines(facts)
            let (url, data, start) = (lines[0], lines[1], lines[2])
            // Several: after a crash the server gives a transaction of one the number that a lost one of another had.
            var stores: [PostgresStore] = []
            for _ in 0..<4 { stores.append(try await PostgresStore(url: url)) }
            let first = stores[0]
            var changes = first.changes().makeAsyncIterator()
            let progress = Progress()

            let (submitted, finished) = try await withThrowingTaskGroup(of: ([String], [String]).self) { group in
                for caller in 0..<16 {
                    let store = stores[caller % stores.count]
                    group.addTask {
                        var submitted: [String] = [], finished: [String] = []
                        while !progress.isOver.load(ordering: .relaxed) {
                            let id = "j\(caller)-\(submitted.count)"
                            try await store.submit([newJob(id, webhook: "http://h/")], .committed)
                            submitted.append(id)
                            guard submitted.count % 3 > 0 else { continue }
                            #expect(try await store.take(id).isApplied)
                            _ = try await store.step(id, .append(worker: worker, attempt: nil, chunks: [chunk(0, "a")], isPlaced: false))
                            let verdict = try await store.finish(id)
                            #expect(verdict.isApplied && verdict.job?.chunkCount == 1)
                            finished.append(id)
                            progress.doneCount.add(1, ordering: .relaxed)
                        }
                        return (submitted, finished)
                    }
                }
                for _ in 0..<6 {
                    let before = progress.doneCount.load(ordering: .relaxed)
                    #expect(try await eventually { progress.doneCount.load(ordering: .relaxed) > before + 200 })
                    let postmaster = try #require(Child.lines(data + "/postmaster.pid").first.flatMap { pid_t($0) })
                    kill(postmaster, SIGKILL)
                    // Its children notice by themselves; until they are gone it cannot be started.
                    #expect(try await eventually { try Child.runToEnd([start]) == 0 })
                    // Whoever listens is told that it missed something.
                    var change = await changes.next()
                    while change != nil, change != .everything { change = await changes.next() }
                    #expect(change == .everything)
                }
                progress.isOver.store(true, ordering: .relaxed)
                return try await group.reduce(into: ([String](), [String]())) {
                    $0.0 += $1.0
                    $0.1 += $1.1
                }
            }
            let counts = try await stores[0].counts(endpoint)
            #expect(counts.completed == finished.count)
            #expect(counts.inQueue == submitted.count - finished.count && counts.inProgress == 0)
            var query = JobLogQuery()
            query.limit = .max
            let log = try await stores[1].log(query)
            #expect(log.count == finished.count && Set(log.map(\.id.text)) == Set(finished))
            let waiting = try await stores[1].jobs(endpoint, in: .inQueue, limit: .max)
            #expect(Set(waiting.map(\.id.text)).union(finished) == Set(submitted))
            let due = try await stores[0].dueWebhooks(at: at(1_000_000), limit: .max, leaseMilliseconds: 1000)
            #expect(due.count == finished.count)
            for store in stores { await store.close() }
        }
    }
}
