import Glibc
import Jobs
import PostgresStore
import Synchronization
import Testing

@Suite(.enabled(if: Backing.server != nil, "NEEDLETAIL_TEST_POSTGRES is not set: run under Scripts/with-postgres.sh"))
struct PostgresTests {
    @Test func replicasSeeEachOthersChanges() async throws {
        try await Backing.postgres.withPlace { place in
            let one = try await PostgresStore(url: place), two = try await PostgresStore(url: place)
            var heard = two.changes().makeAsyncIterator(), own = one.changes().makeAsyncIterator()
            func next(_ count: Int) async -> [StoreChange] {
                var changes: [StoreChange] = []
                while changes.count < count, let change = await heard.next() { changes.append(change) }
                return changes
            }
            let j = JobID("j")
            try await one.submit([newJob("j")], .committed)
            #expect(await next(1) == [.job(j, endpoint, .inQueue)])
            #expect(try await two.take("j").isApplied)
            // The first thing that the other one hears: its own submit is not told to it.
            #expect(await own.next() == .job(j, endpoint, .inProgress))
            _ = try await one.step("j", .append(worker: worker, attempt: 1, chunks: [chunk(0, "a")], isPlaced: true))
            #expect(await next(1) == [.chunks(j, endpoint)])
            #expect(try await two.chunks(j, from: 0, limit: 1).count == 1)
            _ = try await one.finish("j")
            #expect(await next(1) == [.job(j, endpoint, .completed)])
            try await one.saveDefinition(endpoint, json: [1])
            try await one.removeKey("nobody")
            try await one.removeWorker(worker)
            #expect(await next(3) == [.definitions, .keys, .workers])
            // More than fits into one notification, and a name that cannot stand in one.
            try await one.submit((0..<500).map { newJob("\(UUIDText.random())-u1-\($0)") }, .committed)
            #expect(Set(await next(500).map { "\($0)" }).count == 500)
            try await one.submit([newJob("a b\n")], .committed)
            #expect(await next(1) == [.everything])
            await one.close()
            await two.close()
        }
    }

    @Test func replicasMayStartAtOnce() async throws {
        try await Backing.postgres.withPlace { place in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<6 {
                    group.addTask {
                        let store = try await PostgresStore(url: place)
                        try await store.submit([newJob("j\(number)")], .committed)
                        await store.close()
                    }
                }
                try await group.waitForAll()
            }
            let store = try await PostgresStore(url: place)
            #expect(try await store.counts(endpoint).inQueue == 6)
            await store.close()
        }
    }

    @Test func lostConnectionsAreMadeAgain() async throws {
        try await Backing.postgres.withPlace { place in
            let store = try await PostgresStore(url: place)
            var changes = store.changes().makeAsyncIterator()
            let progress = Progress()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for caller in 0..<8 {
                    group.addTask {
                        var number = 0
                        while !progress.isOver.load(ordering: .relaxed) {
                            let id = "j\(caller)-\(number)"
                            try await store.submit([newJob(id)], .committed)
                            #expect(try await store.take(id).isApplied)
                            for _ in 0..<2 {
                                _ = try await store.step(
                                    id, .append(worker: worker, attempt: 1, chunks: [chunk(0, "a"), chunk(0, "b")], isPlaced: false))
                            }
                            try await store.addWorkerTime(endpoint, milliseconds: 1)
                            let verdict = try await store.finish(id)
                            #expect(verdict.isApplied && verdict.job?.chunkCount == 4)
                            number += 1
                        }
                    }
                }
                for _ in 0..<20 {
                    try await Server.run(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'needletail' AND datname = current_database()", place)
                    #expect(await changes.next() == .everything)
                }
                progress.isOver.store(true, ordering: .relaxed)
                try await group.waitForAll()
            }
            let counts = try await store.counts(endpoint)
            var query = JobLogQuery()
            query.limit = .max
            let log = try await store.log(query)
            #expect(counts.completed == log.count && Set(log.map(\.id)).count == log.count && counts.workerMilliseconds == log.count)
            #expect(counts.inQueue == 0 && counts.inProgress == 0)
            await store.close()
        }
    }

    @Test func refusalsComeAtOnceAndKeepThePassword() async throws {
        let server = try #require(Backing.server)
        let secret = "geheim%zz"
        for url in [server + (server.contains("?") ? "&" : "?") + "dbname=no_such_database", "postgres://me:\(secret)@127.0.0.1/x?nonsense=1"] {
            let start = ContinuousClock.now
            let error = await #expect(throws: StoreError.self) { try await PostgresStore(url: url) }
            #expect(error?.isTransient == false && !"\(error!)".contains("geheim"))
            #expect(ContinuousClock.now - start < .seconds(15))
        }
    }
}
