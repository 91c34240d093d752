import Jobs
import Testing

@Suite struct PostgresServerTests {
    /// Stands in the report as skipped where half of the suite did not run.
    @Test(.enabled(if: Backing.server != nil, "NEEDLETAIL_TEST_POSTGRES is not set: run under Scripts/with-postgres.sh"))
    func thePostgresHalfOfTheSuiteRuns() { #expect(Backing.all.contains(.postgres)) }
}

/// Jobs, on both stores.
@Suite struct JobStoreTests {
    @Test(arguments: Backing.all) func whatIsSubmittedIsThereOnce(_ backing: Backing) async throws {
        try await backing.withStore { store in
            var new = newJob("j", webhook: "https://example.org/hook?a=%20")
            new.payload.input = Array("[1]".utf8)
            try await store.submit([new, newJob("k")], .synced)
            var other = new
            other.payload.input = Array("[2]".utf8)
            try await store.submit([other, other], .committed)
            #expect(try await store.job(JobID("j")) == new.job)
            #expect(try await store.payload(JobID("j")) == new.payload)
            let record = try await store.record(JobID("j"))
            #expect(record?.job == new.job && record?.result == JobResult())
            #expect(try await store.counts(endpoint).inQueue == 2)
            #expect(try await store.job(JobID("nobody")) == nil)
            #expect(try await store.record(JobID("nobody")) == nil)
            #expect(try await store.payload(JobID("nobody")) == nil)
            #expect(try await store.chunks(JobID("nobody"), from: 0, limit: 10).isEmpty)
            #expect(try await store.take("nobody") == .unknown)
        }
    }

    @Test(arguments: Backing.all) func aJobMayComeAsAWorkersAlready(_ backing: Backing) async throws {
        try await backing.withStore { store in
            var new = newJob("j")
            _ = JobMachine.apply(.take(worker: worker, attempt: 1), to: &new.job, at: at(2000))
            // What is brought once it has its place comes after it, committed or not.
            let (posted, poster) = AsyncStream.makeStream(of: Task<JobVerdict, any Error>.self)
            try await store.submit([new], .committed) { poster.yield(Task { try await store.finish("j", "1") }) }
            for await post in posted {
                #expect(try await post.value.isApplied)
                break
            }
            let record = try #require(try await store.record(JobID("j")))
            #expect(record.job.state == .completed && record.job.attempt == 1 && record.job.takenAt == at(2000) && record.job.worker == worker)
            try await store.submit([new], .committed)
            #expect(try await store.job(JobID("j")) == record.job)
            var running = newJob("k")
            _ = JobMachine.apply(.take(worker: worker, attempt: 1), to: &running.job, at: at(2000))
            try await store.submit([running], .synced)
            #expect(try await store.jobs(endpoint, in: .inProgress, limit: 9).map(\.id.text) == ["k"])
            let counts = try await store.counts(endpoint)
            #expect(counts.completed == 1 && counts.inQueue == 0 && counts.inProgress == 1 && counts.oldestQueuedAt == nil)
            guard case .repeated = try await store.take("k") else { return #expect(Bool(false), "the worker has it already") }
        }
    }

    @Test(arguments: Backing.all) func aJobsWholeLifeEachCallTwice(_ backing: Backing) async throws {
        try await backing.withStore { store in
            try await store.submit([newJob("j")], .committed)
            #expect(try await store.take("j").isApplied)
            guard case .repeated = try await store.take("j") else { return #expect(Bool(false), "a take was not taken as repeated") }
            let append = JobEvent.append(worker: worker, attempt: 1, chunks: [chunk(0, "a", resume: "{}"), chunk(1, "b")], isPlaced: true)
            #expect(try await store.step("j", append).isApplied)
            guard case .repeated = try await store.step("j", append) else { return #expect(Bool(false), "an append was not taken as repeated") }
            #expect(try await store.step("j", .progress(worker: worker, value: Array("50".utf8))).isApplied)
            #expect(try await store.record(JobID("j"))?.result.output == Array("50".utf8))
            #expect(try await store.finish("j", "{}").isApplied)
            guard case .repeated = try await store.finish("j", "{}") else { return #expect(Bool(false), "a finish was not taken as repeated") }
            let record = try #require(try await store.record(JobID("j")))
            #expect(record.job.state == .completed && record.job.chunkCount == 2 && record.job.expiresAt == at(13_000))
            #expect(record.result == JobResult(output: Array("{}".utf8)))
            #expect(try await store.chunks(JobID("j"), from: 0, limit: 10) == [chunk(0, "a", resume: "{}"), chunk(1, "b")])
            #expect(try await store.chunks(JobID("j"), from: 1, limit: 10) == [chunk(1, "b")])
            #expect(try await store.chunks(JobID("j"), from: 0, limit: 1) == [chunk(0, "a", resume: "{}")])
            let counts = try await store.counts(endpoint)
            #expect(counts.completed == 1 && counts.inQueue == 0 && counts.inProgress == 0 && counts.oldestQueuedAt == nil)
            #expect(try await store.log(JobLogQuery()) == [JobLogEntry(record.job, error: nil)])
        }
    }

    @Test(arguments: Backing.all) func stepsOfOneCallAreAppliedInOrder(_ backing: Backing) async throws {
        try await backing.withStore { store in
            try await store.submit([newJob("j"), newJob("k")], .committed)
            let j = JobID("j")
            let outcome = JobOutcome.failed(error: "no", output: nil)
            let verdicts = try await store.apply(
                [
                    JobStep(j, .take(worker: worker, attempt: 1), at: at(2000)),
                    JobStep(j, .append(worker: worker, attempt: nil, chunks: [chunk(0, "x"), chunk(0, "y")], isPlaced: false), at: at(2100)),
                    JobStep(JobID("k"), .cancel, at: at(2100)),
                    JobStep(j, .finish(worker: worker, attempt: nil, outcome), at: at(2200)),
                    JobStep(j, .retry, at: at(2300)), JobStep(JobID("nobody"), .cancel, at: at(2300)),
                    JobStep(j, .take(worker: worker, attempt: 2), at: at(2400)),
                    JobStep(j, .append(worker: worker, attempt: 2, chunks: [chunk(0, "z")], isPlaced: true), at: at(2500)),
                ], .synced)
            #expect(verdicts.map(\.isApplied) == [true, true, true, true, true, false, true, true])
            #expect(verdicts[1].job?.chunkCount == 2 && verdicts[3].job?.state == .failed && verdicts[5] == .unknown)
            #expect(try await store.chunks(j, from: 0, limit: 10) == [chunk(0, "z")])
            let record = try await store.record(j)
            #expect(record?.job == verdicts[7].job && record?.result == JobResult())
            let counts = try await store.counts(endpoint)
            #expect(counts.failed == 1 && counts.cancelled == 1 && counts.inProgress == 1 && counts.inQueue == 0)
        }
    }

    @Test(arguments: Backing.all) func aLostWorkersPostsAreFencedOff(_ backing: Backing) async throws {
        try await backing.withStore { store in
            let second = WorkerID("w2")
            try await store.submit([newJob("j")], .committed)
            _ = try await store.take("j")
            _ = try await store.step("j", .progress(worker: worker, value: Array("1".utf8)))
            _ = try await store.step("j", .append(worker: worker, attempt: 1, chunks: [chunk(0, "a")], isPlaced: true))
            let loss = JobEvent.lose(worker: worker, attempt: 1, reason: "killed by signal 9", limit: 1)
            #expect(try await store.step("j", loss).isApplied)
            #expect(try await store.step("j", loss).isRefused)
            #expect(try await store.record(JobID("j"))?.result == JobResult())
            #expect(try await store.take("j", 1, by: second).isRefused)
            #expect(try await store.take("j", 2, by: second).isApplied)
            #expect(try await store.finish("j").isRefused)
            #expect(try await store.step("j", .append(worker: worker, attempt: 1, chunks: [chunk(1, "b")], isPlaced: true)).isRefused)
            #expect(try await store.step("j", .append(worker: second, attempt: 2, chunks: [chunk(1, "c")], isPlaced: true)).isApplied)
            #expect(try await store.chunks(JobID("j"), from: 0, limit: 10).map(\.body) == [[97], [99]])
            #expect(try await store.step("j", .lose(worker: second, attempt: 2, reason: "silent", limit: 1)).isApplied)
            let record = try await store.record(JobID("j"))
            #expect(record?.job.state == .failed && record?.result.error == "job timed out after 1 retries: silent")
            let counts = try await store.counts(endpoint)
            #expect(counts.retried == 2 && counts.failed == 1)
        }
    }

    @Test(arguments: Backing.all) func drainsGiveBacksAndRetention(_ backing: Backing) async throws {
        try await backing.withStore { store in
            try await store.submit([newJob("j")], .committed)
            _ = try await store.take("j")
            #expect(try await store.step("j", .giveBack(worker: worker, attempt: 1)).isApplied)
            #expect(try await store.counts(endpoint).inQueue == 1)
            #expect(try await store.counts(endpoint).retried == 0)
            _ = try await store.take("j", 2)
            _ = try await store.step("j", .append(worker: worker, attempt: 2, chunks: [chunk(0, "a"), chunk(1, "b")], isPlaced: true))
            #expect(try await store.step("j", .drain(from: 0, through: 3)).isRefused)
            #expect(try await store.step("j", .drain(from: 0, through: 2)).isApplied)
            #expect(try await store.step("j", .drain(from: 0, through: 2)).isRefused)
            #expect(try await store.job(JobID("j"))?.drainedCount == 2)
            _ = try await store.step("j", .retain(milliseconds: 500))
            _ = try await store.finish("j", attempt: 2, at: 3000)
            #expect(try await store.job(JobID("j"))?.expiresAt == at(3500))
            _ = try await store.step("j", .retain(milliseconds: 100), at: 3100)
            #expect(try await store.job(JobID("j"))?.expiresAt == at(3200))
            #expect(try await store.step("j", .timeOut(reason: "late")).isApplied == false)
        }
    }

    @Test(arguments: Backing.all) func timeOutsAndFailuresAreCounted(_ backing: Backing) async throws {
        try await backing.withStore { store in
            try await store.submit([newJob("a"), newJob("b"), newJob("c", EndpointID("other"))], .committed)
            #expect(try await store.step("a", .timeOut(reason: "ran too long")).isApplied)
            #expect(try await store.step("b", .fail(reason: "no worker starts")).isApplied)
            let counts = try await store.counts(endpoint)
            #expect(counts.timedOut == 1 && counts.failed == 1 && counts.inQueue == 0)
            #expect(try await store.counts(EndpointID("other")).inQueue == 1)
            #expect(try await store.record(JobID("a"))?.result.error == "ran too long")
        }
    }

    @Test(arguments: Backing.all) func jobsComeOldestFirst(_ backing: Backing) async throws {
        try await backing.withStore { store in
            try await store.submit(
                [newJob("c", at: 30, lowPriority: true), newJob("a", at: 40), newJob("d", at: 10, lowPriority: true), newJob("b", at: 20)], .committed)
            #expect(try await store.jobs(endpoint, in: .inQueue, limit: 10).map(\.id.text) == ["d", "b", "c", "a"])
            #expect(try await store.jobs(endpoint, in: .inQueue, limit: 2).map(\.id.text) == ["d", "b"])
            let counts = try await store.counts(endpoint)
            #expect(counts.inQueue == 4 && counts.lowPriorityInQueue == 2 && counts.oldestQueuedAt == at(20))
            _ = try await store.take("b")
            #expect(try await store.jobs(endpoint, in: .inProgress, limit: 10).map(\.id.text) == ["b"])
            #expect(try await store.counts(endpoint).oldestQueuedAt == at(40))
            #expect(try await store.jobs(EndpointID("other"), in: .inQueue, limit: 10).isEmpty)
        }
    }

    @Test(arguments: Backing.all) func purgeCancelsWhatWaits(_ backing: Backing) async throws {
        try await backing.withStore { store in
            try await store.submit([newJob("a"), newJob("b", lowPriority: true), newJob("c"), newJob("d", EndpointID("other"))], .committed)
            _ = try await store.take("c")
            let purged = try await store.purge(endpoint, at: at(5000))
            #expect(purged.map(\.id.text) == ["a", "b"] && purged.allSatisfy { $0.state == .cancelled })
            #expect(try await store.purge(endpoint, at: at(5000)).isEmpty)
            #expect(try await store.job(JobID("c"))?.state == .inProgress)
            #expect(try await store.job(JobID("d"))?.state == .inQueue)
            let counts = try await store.counts(endpoint)
            #expect(counts.cancelled == 2 && counts.inQueue == 0 && counts.lowPriorityInQueue == 0)
        }
    }

    @Test(arguments: Backing.all) func expiredJobsGoWithAllThatBelongsToThem(_ backing: Backing) async throws {
        try await backing.withStore { store in
            try await store.submit(
                [newJob("done", webhook: "http://h/", retention: 1000), newJob("waits", timeToLive: 5000), newJob("runs", timeToLive: 5500), newJob("stays")],
                .committed)
            _ = try await store.take("runs")
            _ = try await store.take("done")
            _ = try await store.step("done", .append(worker: worker, attempt: 1, chunks: [chunk(0, "a")], isPlaced: true))
            _ = try await store.finish("done", at: 3000)
            #expect(try await store.expire(at: at(3999), limit: 10).isEmpty)
            #expect(try await store.expire(at: at(7000), limit: 1).map(\.id.text) == ["done"])
            #expect(try await store.record(JobID("done")) == nil)
            #expect(try await store.payload(JobID("done")) == nil)
            #expect(try await store.chunks(JobID("done"), from: 0, limit: 10).isEmpty)
            #expect(try await store.dueWebhooks(at: at(9000), limit: 10, leaseMilliseconds: 1000).isEmpty)
            #expect(try await store.take("done", 2) == .unknown)
            let others = try await store.expire(at: at(7000), limit: 10)
            #expect(others.map(\.id.text) == ["waits", "runs"] && others.map(\.state) == [.inQueue, .inProgress])
            let counts = try await store.counts(endpoint)
            #expect(counts.inQueue == 1 && counts.inProgress == 0 && counts.completed == 1)
            #expect(try await store.log(JobLogQuery()).map(\.id.text) == ["done"])
            // An id may be used again once it is gone.
            try await store.submit([newJob("done")], .committed)
            #expect(try await store.record(JobID("done"))?.result == JobResult())
            #expect(try await store.chunks(JobID("done"), from: 0, limit: 10).isEmpty)
        }
    }

    @Test(arguments: Backing.all) func bigPayloadsAndOddTexts(_ backing: Backing) async throws {
        try await backing.withStore { store in
            let big = (0..<20 << 20).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
            try await store.submit([newJob("big", input: big), newJob("empty", input: [])], .synced)
            #expect(try await store.payload(JobID("big"))?.input == big)
            #expect(try await store.payload(JobID("empty"))?.input == [])
            _ = try await store.take("big")
            _ = try await store.step("big", .finish(worker: worker, attempt: 1, .completed(output: big)))
            #expect(try await store.record(JobID("big"))?.result.output == big)
            _ = try await store.take("empty")
            let error = "nul:\0 quote:' \" \\ %_ emoji:👩‍👩‍👧 combining:e\u{301} last:\u{10FFFF} bidi:\u{202E} line\n\r\u{2028}"
            _ = try await store.step("empty", .finish(worker: worker, attempt: 1, .failed(error: error, output: [])))
            let kept = error.split(separator: "\0").joined(separator: "\u{FFFD}")
            let record = try await store.record(JobID("empty"))
            #expect(record?.result.error?.utf8.elementsEqual(kept.utf8) == true)
            #expect(record?.result.output == [])
            #expect(try await store.job(JobID("a\0b")) == nil)
            #expect(try await store.take("a\0b") == .unknown)
        }
    }

    @Test(arguments: Backing.all) func whatAFinishOfAnEmptyObjectLeaves(_ backing: Backing) async throws {
        try await backing.withStore { store in
            try await store.submit([newJob("j")], .committed)
            _ = try await store.take("j")
            _ = try await store.step("j", .progress(worker: worker, value: [49]))
            #expect(try await store.finish("j", nil).isApplied)
            #expect(try await store.record(JobID("j"))?.result == JobResult())
        }
    }
}
