import Gateway
import JSON
import Jobs
import NIOHTTP1
import Testing

@Suite struct AdminRoutesTests {
    private let file: JSONValue = ["keys": LiveGateway.keys, "endpoints": ["a": ["provider": "none"], "b": ["provider": "none"]]]

    @Test func keysAreMadeOnceAndRemovedOnce() async throws {
        try await LiveGateway.with(file) { gateway async throws in
            let made = try await gateway.admin(.POST, "keys", #"{"name": "x"}"#)
            let key = try #require(made.json["key"]?.string)
            let again = try await gateway.admin(.POST, "keys", #"{"name": "x", "role": "admin"}"#)
            #expect(again.status == 409 && again.text.contains("'x'"))
            #expect(try await gateway.admin(.POST, "keys", #"{"name": "app"}"#).status == 409)
            #expect(try await gateway.call(.GET, "/v2/a/health", key: key).status == 200)
            #expect(try await gateway.admin(.DELETE, "keys/y").status == 404)
            let configured = try await gateway.admin(.DELETE, "keys/app")
            #expect(configured.status == 409 && configured.text.contains("file"))
            #expect(try await gateway.admin(.DELETE, "keys/x").status == 200)
            #expect(try await gateway.admin(.DELETE, "keys/x").status == 404)
        }
    }

    @Test func oneOfManyGetsAName() async throws {
        try await LiveGateway.with(file) { gateway async throws in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<8 { group.addTask { try await gateway.admin(.POST, "keys", #"{"name": "x"}"#).status } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.sorted() == [200] + Array(repeating: 409, count: 7))
        }
    }

    @Test(arguments: [("[]", "is empty"), (#"["a b"]"#, "can be no endpoint")])
    func aKeyHasToOpenSomething(_ endpoints: String, _ text: String) async throws {
        try await LiveGateway.with(file) { gateway async throws in
            let answer = try await gateway.admin(.POST, "keys", "{\"name\": \"x\", \"endpoints\": \(endpoints)}")
            #expect(answer.status == 400 && answer.text.contains(text))
            #expect(try await gateway.admin(.GET, "keys").json["keys"]?.array?.isEmpty == true)
        }
    }

    @Test func numbersAreAskedForWithoutAUnit() async throws {
        try await LiveGateway.with(file) { gateway async throws in
            let answer = try await gateway.call(.GET, "/v2/a/requests?limit=many", key: LiveGateway.clientKey)
            #expect(answer.status == 400 && answer.text.contains("'limit' must be a whole number") && !answer.text.contains("milliseconds"))
        }
    }

    @Test func secretsOfACommandAreNotShown() async throws {
        try await LiveGateway.with(file) { gateway async throws in
            let definition = """
                {"provider": {"process": {"command": ["python3", "handler.py", "--api-key", "first-one", "--token=second-one", "--port", "8000", \
                "sh -c 'HF_TOKEN=third-one run'"], "env": {"PASSWORD": "fourth-one"}, "gatewayURL": "http://me:fifth-one@127.0.0.1:1"}}}
                """
            let put = try await gateway.admin(.PUT, "endpoints/x", definition)
            let got = try await gateway.admin(.GET, "endpoints/x")
            let listed = try await gateway.admin(.GET, "endpoints")
            for answer in [put, got, listed] {
                #expect(answer.status == 200)
                #expect(!answer.text.contains("-one"), "\(answer.text)")
            }
            let process = try #require(got.json["definition"]?["provider"]?["process"])
            #expect(process["command"]?.array?.prefix(3).map(\.string) == ["python3", "handler.py", "--api-key"])
            #expect(process["command"]?.array?[5].string == "--port" && process["command"]?.array?[6].string == "8000")
            #expect(process["env"]?["PASSWORD"]?.string == "…")
        }
    }

    @Test func metricsAreThoseOfTheKeysEndpoints() async throws {
        try await LiveGateway.with(file) { gateway async throws in
            let made = try await gateway.admin(.POST, "keys", #"{"name": "x", "endpoints": ["b"]}"#)
            let key = try #require(made.json["key"]?.string)
            for endpoint in ["a", "b"] {
                #expect(try await gateway.call(.POST, "/v2/\(endpoint)/run", #"{"input": {}}"#, key: LiveGateway.clientKey).status == 200)
            }
            let all = try await gateway.call(.GET, "/metrics", key: LiveGateway.clientKey).text
            #expect(all.contains(#"endpoint="a""#) && all.contains(#"endpoint="b""#))
            let own = try await gateway.call(.GET, "/metrics", key: key).text
            #expect(!own.contains(#"endpoint="a""#))
            #expect(own.contains(#"jobs_submitted_total{endpoint="b",origin="run"} 1.0"#) && own.contains(#"jobs_in_queue{endpoint="b"} 1.0"#))
        }
    }

    @Test func figuresOfARemovedEndpointGo() async throws {
        try await LiveGateway.with(["endpoints": ["a": ["provider": "none"]]]) { gateway async throws in
            let definition = #"{"provider": "none"}"#
            #expect(try await gateway.call(.PUT, "/admin/api/endpoints/x", definition).status == 200)
            #expect(try await gateway.call(.POST, "/v2/x/run", #"{"input": {}}"#).status == 200)
            #expect(try await gateway.call(.GET, "/metrics").text.contains(#"jobs_submitted_total{endpoint="x",origin="run"} 1.0"#))
            #expect(try await gateway.call(.DELETE, "/admin/api/endpoints/x").status == 200)
            #expect(try await !gateway.call(.GET, "/metrics").text.contains(#"endpoint="x""#))
            #expect(try await gateway.call(.PUT, "/admin/api/endpoints/x", definition).status == 200)
            #expect(try await !gateway.call(.GET, "/metrics").text.contains(#"jobs_submitted_total{endpoint="x",origin="run"} 1.0"#))
        }
    }

    @Test func stepsOfAllKindsAreTimed() async throws {
        try await LiveGateway.with(["endpoints": ["a": ["provider": "none"]]]) { gateway async throws in
            let id = try #require(try await gateway.call(.POST, "/v2/a/run", #"{"input": {}}"#).json["id"]?.string)
            #expect(try await gateway.call(.GET, "/v2/a/job-take/w1").json["id"]?.string == id)
            #expect(try await gateway.call(.POST, "/v2/a/job-done/w1/\(id)", #"{"output": 1}"#).status == 200)
            let text = try await gateway.call(.GET, "/metrics").text
            for line in [#"store_seconds_count{operation="submit"} 1.0"#, #"store_seconds_count{operation="apply"} 2.0"#, #"http_requests_total{operation="job-take",status="200"} 1.0"#] {
                #expect(text.contains("needletail_gateway_" + line), "\(line)")
            }
        }
    }

    @Test func theDashboardHasAllJobsOfAWorker() async throws {
        try await LiveGateway.with(["endpoints": ["a": ["provider": "none"]]]) { gateway async throws in
            for _ in 0..<30 { #expect(try await gateway.call(.POST, "/v2/a/run", #"{"input": {}}"#).status == 200) }
            var taken = 0
            while taken < 30 {
                let batch = try await gateway.call(.GET, "/v2/a/job-take-batch/w1?batch_size=30")
                try #require(batch.status == 200)
                taken += try #require(batch.json.array?.count)
            }
            let worker = try #require(try await gateway.call(.GET, "/admin/api/overview").json["workers"]?.array?.first)
            #expect(worker["jobs"]?.array?.count == 30 && worker["jobCount"]?.int == 30)
        }
    }

    @Test func aWebhookOutlivesAStoreThatCannotBeRead() async throws {
        let receiver = try await WebhookReceiver()
        try await LiveGateway.with(["endpoints": ["a": ["provider": "none", "allowPrivateWebhooks": true]]]) { gateway async throws in
            let run = try await gateway.call(.POST, "/v2/a/run", "{\"input\": {}, \"webhook\": \"http://127.0.0.1:\(receiver.port)/\"}")
            let id = try #require(run.json["id"]?.string)
            #expect(try await gateway.call(.GET, "/v2/a/job-take/w1").status == 200)
            gateway.store.fail([.record])
            #expect(try await gateway.call(.POST, "/v2/a/job-done/w1/\(id)", #"{"output": 1}"#).status == 200)
            for await _ in gateway.store.failures { break }
            // Room for a sender that takes the job for gone.
            try await Task.sleep(for: .milliseconds(300))
            // Due again once the lease has ended.
            let due = try await gateway.store.dueWebhooks(at: .now + 120_000, limit: 10, leaseMilliseconds: 1)
            #expect(due.map(\.job) == [JobID(id)] && due.first?.tries == 0)
            #expect(receiver.posts.isEmpty)
        }
        try await receiver.close()
    }
}
