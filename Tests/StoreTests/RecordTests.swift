import Jobs
import Testing

/// Log, webhooks, workers, definitions, keys and leadership, on both stores.
@Suite struct RecordTests {
    @Test(arguments: Backing.all) func theLogIsSearchedAndTrimmed(_ backing: Backing) async throws {
        try await backing.withStore { store in
            let errors = ["100% wrong", "100 wrong", "a_b", "axb", "ÄRGER mit Größe", #"back\slash"#]
            for (number, error) in errors.enumerated() {
                let id = "job\(number)"
                try await store.submit([newJob(id, number % 2 == 0 ? endpoint : EndpointID("other"))], .committed)
                _ = try await store.take(id, by: WorkerID("Worker-\(number)"))
                let outcome = JobOutcome.failed(error: error, output: nil)
                _ = try await store.step(id, .finish(worker: WorkerID("Worker-\(number)"), attempt: 1, outcome), at: 3000 + number)
            }
            func found(_ change: (inout JobLogQuery) -> Void) async throws -> [String] {
                var query = JobLogQuery()
                change(&query)
                return try await store.log(query).map(\.id.text)
            }
            #expect(try await found { _ in } == ["job5", "job4", "job3", "job2", "job1", "job0"])
            #expect(try await found { $0.limit = 2 } == ["job5", "job4"])
            #expect(try await found { $0.before = at(3002) } == ["job1", "job0"])
            #expect(try await found { $0.endpoints = [EndpointID("other")] } == ["job5", "job3", "job1"])
            #expect(try await found { $0.endpoints = [EndpointID("other"), endpoint]; $0.states = [.completed] } == [])
            #expect(try await found { $0.states = [.failed, .completed]; $0.limit = 1 } == ["job5"])
            #expect(try await found { $0.text = "0%" } == ["job0"])
            #expect(try await found { $0.text = "%" } == ["job0"])
            #expect(try await found { $0.text = "A_B" } == ["job2"])
            #expect(try await found { $0.text = "ärger MIT grösse" } == [])
            #expect(try await found { $0.text = "ärger MIT größe" } == ["job4"])
            #expect(try await found { $0.text = #"K\S"# } == ["job5"])
            #expect(try await found { $0.text = "wORKER-3" } == ["job3"])
            #expect(try await found { $0.text = "JOB1" } == ["job1"])
            #expect(try await found { $0.text = "" }.count == 6)
            #expect(try await found { $0.text = "'; DROP TABLE log; --" } == [])
            try await store.trimLog(before: at(3001), keeping: 100)
            #expect(try await found { _ in } == ["job5", "job4", "job3", "job2", "job1"])
            try await store.trimLog(before: at(0), keeping: 2)
            #expect(try await found { _ in } == ["job5", "job4"])
            try await store.trimLog(before: at(0), keeping: 2)
            try await store.trimLog(before: at(0), keeping: 0)
            #expect(try await found { _ in } == [])
        }
    }

    @Test(arguments: Backing.all) func longLogsAreTrimmedInSteps(_ backing: Backing) async throws {
        try await backing.withStore { store in
            let ids = (0..<5000).map { "j\($0)" }
            try await store.submit(ids.map { newJob($0) }, .committed)
            _ = try await store.apply(ids.map { JobStep(JobID($0), .cancel, at: at(3000)) }, .committed)
            try await store.trimLog(before: at(0), keeping: 10)
            var query = JobLogQuery()
            query.limit = 10_000
            #expect(try await store.log(query).count == 10)
        }
    }

    @Test(arguments: Backing.all) func webhooksAreHandedToOneCallerAtATime(_ backing: Backing) async throws {
        try await backing.withStore { store in
            try await store.submit([newJob("a", webhook: "http://a/"), newJob("b", webhook: "http://b/"), newJob("c")], .committed)
            #expect(try await store.dueWebhooks(at: at(9000), limit: 10, leaseMilliseconds: 1000).isEmpty)
            for id in ["a", "b", "c"] { _ = try await store.step(id, .cancel, at: 3000) }
            #expect(try await store.dueWebhooks(at: at(2999), limit: 10, leaseMilliseconds: 1000).isEmpty)
            let handed = try await withThrowingTaskGroup(of: [WebhookDelivery].self) { group in
                for _ in 0..<8 { group.addTask { try await store.dueWebhooks(at: at(4000), limit: 10, leaseMilliseconds: 1000) } }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(handed.sorted { $0.url < $1.url } == [
                WebhookDelivery(job: JobID("a"), url: "http://a/", tries: 0), WebhookDelivery(job: JobID("b"), url: "http://b/", tries: 0),
            ])
            #expect(try await store.dueWebhooks(at: at(4999), limit: 10, leaseMilliseconds: 1000).isEmpty)
            try await store.settleWebhook(JobID("a"), tries: 1, next: nil)
            try await store.settleWebhook(JobID("a"), tries: 1, next: nil)
            try await store.settleWebhook(JobID("b"), tries: 1, next: at(20_000))
            #expect(try await store.dueWebhooks(at: at(19_999), limit: 10, leaseMilliseconds: 1000).isEmpty)
            #expect(try await store.dueWebhooks(at: at(20_000), limit: 10, leaseMilliseconds: 1000)
                == [WebhookDelivery(job: JobID("b"), url: "http://b/", tries: 1)])
            // Not settled: due again once the lease is over.
            #expect(try await store.dueWebhooks(at: at(21_000), limit: 10, leaseMilliseconds: 1000).count == 1)
        }
    }

    @Test(arguments: Backing.all) func aRetriedJobHasNothingToDeliver(_ backing: Backing) async throws {
        try await backing.withStore { store in
            try await store.submit([newJob("a", webhook: "http://a/")], .committed)
            _ = try await store.step("a", .fail(reason: "no"))
            #expect(try await store.step("a", .retry).isApplied)
            #expect(try await store.dueWebhooks(at: at(9000), limit: 10, leaseMilliseconds: 1000).isEmpty)
            _ = try await store.step("a", .cancel, at: 5000)
            #expect(try await store.dueWebhooks(at: at(9000), limit: 10, leaseMilliseconds: 1000).count == 1)
            #expect(try await store.log(JobLogQuery()).map(\.state) == [.cancelled, .failed])
        }
    }

    @Test(arguments: Backing.all) func workersDefinitionsAndKeys(_ backing: Backing) async throws {
        try await backing.withStore { store in
            var one = WorkerRecord(id: WorkerID("w1"), endpoint: endpoint, state: .initializing, version: "v", startedAt: at(1))
            var two = WorkerRecord(id: WorkerID("w2"), endpoint: endpoint, state: .idle, version: "", startedAt: at(2))
            two.handle = "123 456"
            two.reason = "because"
            two.secretHash = [0, 255, 1]
            two.readyAt = at(3)
            two.seenAt = at(4)
            two.stoppedAt = at(5)
            two.jobsDone = 7
            for worker in [two, one, one] { try await store.save(worker) }
            #expect(try await store.workers() == [one, two])
            one.state = .running
            try await store.save(one)
            try await store.removeWorker(two.id)
            try await store.removeWorker(two.id)
            #expect(try await store.workers() == [one])

            try await store.saveDefinition(EndpointID("b"), json: [1])
            try await store.saveDefinition(EndpointID("a"), json: Array("{}".utf8))
            try await store.saveDefinition(EndpointID("b"), json: [])
            let definitions = try await store.definitions()
            #expect(definitions.map(\.id.text) == ["a", "b"] && definitions.map(\.json) == [Array("{}".utf8), []])
            try await store.removeDefinition(EndpointID("a"))
            #expect(try await store.definitions().map(\.id.text) == ["b"])

            let all = AccessKey(name: "all", role: .admin, hash: Array(0..<32), endpoints: nil, createdAt: at(1))
            let none = AccessKey(name: "none", role: .client, hash: [0], endpoints: [], requestsPer10Seconds: 10, createdAt: at(2))
            let some = AccessKey(name: "some", role: .worker, hash: [9], endpoints: [EndpointID("a"), EndpointID("b-c")], createdAt: at(3))
            for key in [some, none, all, all] { try await store.saveKey(key) }
            #expect(try await store.keys() == [all, none, some])
            try await store.removeKey("none")
            #expect(try await store.keys() == [all, some])

            try await store.addWorkerTime(endpoint, milliseconds: 1500)
            try await store.addWorkerTime(endpoint, milliseconds: 500)
            #expect(try await store.counts(endpoint).workerMilliseconds == 2000)
        }
    }

    @Test(arguments: Backing.all) func leadershipIsHandedOver(_ backing: Backing) async throws {
        try await backing.withStore { store in
            #expect(try await store.lead("a", at: at(1000), milliseconds: 500))
            #expect(try await store.lead("a", at: at(1200), milliseconds: 500))
            #expect(try await !store.lead("b", at: at(1699), milliseconds: 500))
            #expect(try await store.lead("b", at: at(1700), milliseconds: 500))
            #expect(try await !store.lead("a", at: at(1800), milliseconds: 500))
            let winners = try await withThrowingTaskGroup(of: Bool.self) { group in
                for racer in 0..<16 { group.addTask { try await store.lead("r\(racer)", at: at(5000), milliseconds: 500) } }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(winners == 1)
        }
    }
}
