import Jobs
import Testing

/// Many callers at once.
@Suite struct RacingTests {
    @Test(arguments: Backing.all) func eachJobIsTakenOnce(_ backing: Backing) async throws {
        try await backing.withPlace { place in
            // Several gateways where the store can be shared.
            var stores: [any JobStore] = []
            for _ in 0..<(backing == .postgres ? 2 : 1) { stores.append(try await backing.open(place)) }
            let ids = (0..<1000).map { "j\($0)" }
            try await stores[0].submit(ids.map { newJob($0) }, .committed)
            let takers = stores
            let taken = try await withThrowingTaskGroup(of: [String].self) { group in
                for racer in 0..<32 {
                    group.addTask {
                        let store = takers[racer % takers.count], racer = WorkerID("w\(racer)")
                        var mine: [String] = []
                        for start in stride(from: 0, to: 1000, by: 50) {
                            let some = ids[start..<start + 50].shuffled()
                            let verdicts = try await store.apply(
                                some.map { JobStep(JobID($0), .take(worker: racer, attempt: 1), at: at(2000)) }, .committed)
                            for (id, verdict) in zip(some, verdicts) where verdict.isApplied { mine.append(id) }
                        }
                        return mine
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(taken.count == 1000 && Set(taken).count == 1000)
            let counts = try await stores[0].counts(endpoint)
            #expect(counts.inProgress == 1000 && counts.inQueue == 0)
            for store in stores { await store.close() }
        }
    }

    @Test(arguments: Backing.all) func concurrentAppendsKeepTheirPlaces(_ backing: Backing) async throws {
        try await backing.withStore { store in
            let ids = (0..<16).map { "j\($0)" }
            try await store.submit(ids.map { newJob($0) }, .committed)
            for id in ids { _ = try await store.take(id) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for id in ids {
                    group.addTask {
                        for index in 0..<40 {
                            let chunks = [chunk(0, "\(id) \(2 * index)"), chunk(0, "\(id) \(2 * index + 1)")]
                            let verdict = try await store.step(id, .append(worker: worker, attempt: nil, chunks: chunks, isPlaced: false))
                            #expect(verdict.job?.chunkCount == 2 * index + 2)
                        }
                    }
                }
                try await group.waitForAll()
            }
            for id in ids {
                let stored = try await store.chunks(JobID(id), from: 0, limit: 1000)
                #expect(stored == (0..<80).map { chunk($0, "\(id) \($0)") })
            }
            // Two appends at one job at the same time: all chunks are there, each once.
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<50 {
                    group.addTask {
                        _ = try await store.step("j0", .append(worker: worker, attempt: 1, chunks: [chunk(0, "more \(number)")], isPlaced: false))
                    }
                }
                try await group.waitForAll()
            }
            let more = try await store.chunks(JobID("j0"), from: 80, limit: 1000)
            #expect(more.map(\.index) == Array(80..<130))
            #expect(Set(more.map(\.body)) == Set((0..<50).map { Array("more \($0)".utf8) }))
        }
    }

    @Test(arguments: Backing.all) func aCallerSeesItsOwnWrites(_ backing: Backing) async throws {
        try await backing.withStore { store in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for caller in 0..<16 {
                    group.addTask {
                        for number in 0..<10 {
                            let id = "j\(caller)-\(number)"
                            try await store.submit([newJob(id)], .committed)
                            #expect(try await store.job(JobID(id)) != nil)
                            _ = try await store.take(id)
                            #expect(try await store.job(JobID(id))?.state == .inProgress)
                            _ = try await store.finish(id)
                            #expect(try await store.record(JobID(id))?.result.output == [49])
                        }
                    }
                }
                try await group.waitForAll()
            }
            let counts = try await store.counts(endpoint)
            #expect(counts.completed == 160 && counts.inQueue == 0 && counts.inProgress == 0)
            var query = JobLogQuery()
            query.limit = 1000
            #expect(Set(try await store.log(query).map(\.id)).count == 160)
        }
    }

    @Test(arguments: Backing.all) func aClosedStoreSaysSo(_ backing: Backing) async throws {
        try await backing.withPlace { place in
            let store = try await backing.open(place)
            let changes = store.changes()
            await store.close()
            await #expect(throws: StoreError.self) { try await store.submit([newJob("j")], .committed) }
            await #expect(throws: StoreError.self) { try await store.job(JobID("j")) }
            for await _ in changes {}
            await store.close()
        }
    }
}
