import Hub
import NIOHTTP1
import Progress
import Testing

@Suite("Fetching from a hub")
struct DownloadTests {
    private let tiny = HubReference(repo: RepoID("acme/tiny")!)
    private let needed = ["chat_template.jinja", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]

    @Test func takesTheFilesOfTheModelOnlyAndLaysThemOutAsPythonDoes() async throws {
        try await TestHub.run(smallModel()) { hub in
            hub.page(by: 4)
            let place = try Workplace(), progress = RecordedProgress()
            let model = try await Hub.with(place.settings(hub), progress: progress) { try await $0.fetch(tiny) }
            let cache = place.cache("acme/tiny"), repo = smallModel()
            #expect(model.format == .safetensors)
            #expect(model.folder == cache.snapshot(repo.commit))
            #expect(model.weights == [cache.pointer("model.safetensors", repo.commit)])
            #expect(cache.present(repo.commit) == needed)
            for name in needed {
                let bytes = repo.files[name]!
                #expect(Files.contents(cache.pointer(name, repo.commit), limit: 1 << 20) == bytes)
                let etag = repo.large.contains(name) ? TestHub.sha256(bytes) : TestHub.gitBlob(bytes)
                #expect(Workplace.linkTarget(cache.pointer(name, repo.commit)) == "../../blobs/\(etag)")
                #expect(Files.kind(cache.lock(etag)) == .file)
            }
            #expect(Files.contents(Files.join(cache.folder, "refs/main"), limit: 100) == Array(repo.commit.utf8))
            #expect(try Files.list(Files.join(cache.folder, "blobs")).count == needed.count)
            #expect(cache.tree(repo.commit)?.count == repo.files.count)
            #expect(try Files.list(cache.root) == [".locks", "models--acme--tiny"])

            let seen = progress.now, size = needed.reduce(0) { $0 + repo.files[$1]!.count }
            #expect(seen.planned == size)
            #expect(seen.done.values.reduce(0, +) == size)
            #expect(seen.outcomes.count == needed.count && seen.outcomes.values.allSatisfy { $0 == .done })

            // Again: one question for the commit, nothing else.
            hub.forget()
            let again = try await Hub.with(place.settings(hub)) { try await $0.fetch(tiny) }
            #expect(again == model)
            #expect(hub.requests.map(\.target) == ["/api/models/acme/tiny/revision/main"])
        }
    }

    @Test func theTokenStaysWithTheHub() async throws {
        var repo = smallModel()
        repo.token = "hf_secret"
        try await TestHub.run(repo) { hub in
            let place = try Workplace(), progress = RecordedProgress()
            let settings = try place.settings(hub, ["HF_TOKEN": " hf_secret\n"])
            _ = try await Hub.with(settings, progress: progress) { try await $0.fetch(tiny) }
            let (own, storage) = (hub.requests.filter { !$0.isStorage }, hub.requests.filter(\.isStorage))
            #expect(own.allSatisfy { $0.headers.first(name: "Authorization") == "Bearer hf_secret" })
            #expect(storage.count == 2)
            #expect(storage.allSatisfy { !$0.headers.contains(name: "Authorization") && $0.target.contains("SIGNED") })
            #expect(!"\(settings)".contains("hf_secret"))
            #expect(!String(reflecting: settings).contains("hf_secret"))
            #expect(!progress.now.notes.joined().contains("hf_secret"))
        }
    }

    @Test func goesOnWhereTheTransferBroke() async throws {
        try await TestHub.run(smallModel()) { hub in
            hub.misbehave("model.safetensors", .breakAfter(100_000), .status(503), .breakAfter(50_000))
            hub.misbehave("tokenizer.json", .status(429, [("Retry-After", "0")]), .status(500))
            let place = try Workplace(), progress = RecordedProgress()
            let model = try await Hub.with(place.settings(hub), progress: progress) { try await $0.fetch(tiny) }
            #expect(Files.contents(model.weights[0], limit: 1 << 20) == smallModel().files["model.safetensors"])
            let starts = hub.bodies("model.safetensors").filter(\.isStorage).map { request in
                request.headers.first(name: "Range").flatMap { Int($0.dropFirst(6).dropLast()) } ?? 0
            }
            #expect(starts.count == 4 && starts[0] == 0 && starts[1] == starts[2])
            #expect(starts[1] > 0 && starts[1] <= 100_000 && starts[3] >= starts[2] && starts[3] <= starts[2] + 50_000)
            #expect(progress.now.notes.count == 5)
            #expect(!progress.now.notes.joined().contains("SIGNED"))
        }
    }

    @Test func resumesWhatAnEarlierRunLeft() async throws {
        try await TestHub.run(smallModel()) { hub in
            let place = try Workplace(), progress = RecordedProgress(), bytes = smallModel().files["model.safetensors"]!
            let partial = place.cache("acme/tiny").partial(TestHub.sha256(bytes))
            _ = try place.file(String(partial.dropFirst(place.path.count + 1)), Array(bytes[..<123_456]))
            let model = try await Hub.with(place.settings(hub), progress: progress) { try await $0.fetch(tiny) }
            #expect(Files.contents(model.weights[0], limit: 1 << 20) == bytes)
            #expect(hub.bodies("model.safetensors").filter(\.isStorage).map { $0.headers.first(name: "Range") } == ["bytes=123456-"])
            #expect(Files.kind(partial) == nil)
        }
    }

    @Test(arguments: [
        ("damaged part", 200_000, [TestHub.Fault]()), ("longer than the file", 400_000, []), ("no ranges", 1000, [.ignoreRange]),
        ("416", 1000, [.status(416)]),
    ])
    func startsAgainWhereThePartIsOfNoUse(_ name: String, _ left: Int, _ faults: [TestHub.Fault]) async throws {
        try await TestHub.run(smallModel()) { hub in
            let place = try Workplace(), bytes = smallModel().files["model.safetensors"]!
            for fault in faults { hub.misbehave("model.safetensors", fault) }
            let junk = name == "no ranges" ? Array(bytes[..<left]) : content(left, seed: 99)
            let partial = place.cache("acme/tiny").partial(TestHub.sha256(bytes))
            _ = try place.file(String(partial.dropFirst(place.path.count + 1)), junk)
            let model = try await Hub.with(place.settings(hub)) { try await $0.fetch(tiny) }
            #expect(Files.contents(model.weights[0], limit: 1 << 20) == bytes)
        }
    }

    @Test func aCompletePartNeedsNoTransfer() async throws {
        try await TestHub.run(smallModel()) { hub in
            let place = try Workplace(), bytes = smallModel().files["model.safetensors"]!
            let partial = place.cache("acme/tiny").partial(TestHub.sha256(bytes))
            _ = try place.file(String(partial.dropFirst(place.path.count + 1)), bytes)
            _ = try await Hub.with(place.settings(hub)) { try await $0.fetch(tiny) }
            #expect(hub.bodies("model.safetensors").isEmpty)
        }
    }

    @Test(arguments: ["model.safetensors", "config.json"])
    func aWrongHashDeletesTheFileAndSaysSo(_ file: String) async throws {
        try await TestHub.run(smallModel()) { hub in
            hub.misbehave(file, .corrupt)
            let place = try Workplace(), bytes = smallModel().files[file]!
            let etag = file == "config.json" ? TestHub.gitBlob(bytes) : TestHub.sha256(bytes)
            let error = await #expect(throws: HubError.self) { try await Hub.with(place.settings(hub)) { try await $0.fetch(tiny) } }
            guard case .wrongHash(file, etag, _)? = error else { return #expect(Bool(false), "\(String(describing: error))") }
            let cache = place.cache("acme/tiny")
            #expect(Files.kind(cache.blob(etag)) == nil && Files.kind(cache.partial(etag)) == nil)
            #expect(cache.commit("main") == nil)
            _ = try await Hub.with(place.settings(hub)) { try await $0.fetch(tiny) }
            #expect(cache.has(file, size: bytes.count, at: smallModel().commit))
        }
    }

    @Test func givesUpOnALineThatStandsStillAndKeepsThePart() async throws {
        try await TestHub.run(smallModel()) { hub in
            hub.misbehave("model.safetensors", .stallAfter(1000), .stallAfter(0))
            let place = try Workplace()
            var settings = try place.settings(hub)
            settings.retries.attempts = 2
            let error = await #expect(throws: HubError.self) { try await Hub.with(settings) { try await $0.fetch(tiny) } }
            guard case .network("127.0.0.1", let reason)? = error else { return #expect(Bool(false), "\(String(describing: error))") }
            #expect(reason.contains("HF_HUB_DOWNLOAD_TIMEOUT"))
            let partial = place.cache("acme/tiny").partial(TestHub.sha256(smallModel().files["model.safetensors"]!))
            #expect(Files.size(partial) == 1000)
            _ = try await Hub.with(settings) { try await $0.fetch(tiny) }
            #expect(hub.bodies("model.safetensors").last?.headers.first(name: "Range") == "bytes=1000-")
        }
    }

    @Test func triesAreBounded() async throws {
        try await TestHub.run(smallModel()) { hub in
            hub.misbehave("model.safetensors", .status(500), .status(502), .status(503), .status(504), .status(500), .status(500))
            let place = try Workplace()
            let error = await #expect(throws: HubError.self) { try await Hub.with(place.settings(hub)) { try await $0.fetch(tiny) } }
            guard case .status(500, let url, _)? = error else { return #expect(Bool(false), "\(String(describing: error))") }
            #expect(!url.contains("SIGNED"))
            #expect(hub.bodies("model.safetensors").filter(\.isStorage).count == 5)
        }
    }

    @Test func aBodyOfAnotherLengthIsNotTaken() async throws {
        try await TestHub.run(smallModel()) { hub in
            hub.misbehave("model.safetensors", .tooLong, .breakAfter(299_999))
            let place = try Workplace()
            let model = try await Hub.with(place.settings(hub)) { try await $0.fetch(tiny) }
            #expect(Files.contents(model.weights[0], limit: 1 << 20) == smallModel().files["model.safetensors"])
        }
    }

    @Test func cancellingKeepsWhatCame() async throws {
        try await TestHub.run(smallModel()) { hub in
            hub.misbehave("model.safetensors", .slow(1000))
            let place = try Workplace(), settings = try place.settings(hub)
            let partial = place.cache("acme/tiny").partial(TestHub.sha256(smallModel().files["model.safetensors"]!))
            let task = Task { try await Hub.with(settings) { try await $0.fetch(tiny) } }
            while (Files.size(partial) ?? 0) < 5000 { try await Task.sleep(for: .milliseconds(2)) }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            let kept = try #require(Files.size(partial))
            #expect(kept >= 5000 && kept < 300_000)
            let model = try await Hub.with(settings) { try await $0.fetch(tiny) }
            #expect(Files.contents(model.weights[0], limit: 1 << 20) == smallModel().files["model.safetensors"])
            #expect(hub.bodies("model.safetensors").last?.headers.first(name: "Range") == "bytes=\(kept)-")
        }
    }

    @Test func twoAtOnceFetchEachFileOnce() async throws {
        try await TestHub.run(smallModel()) { hub in
            hub.misbehave("model.safetensors", .slow(5000))
            let place = try Workplace(), settings = try place.settings(hub)
            let models = try await withThrowingTaskGroup(of: LocalModel.self) { group in
                for _ in 0..<3 { group.addTask { try await Hub.with(settings) { try await $0.fetch(tiny) } } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(models.count == 3 && Set(models.map(\.folder)).count == 1)
            #expect(hub.bodies("model.safetensors").filter(\.isStorage).count == 1)
            #expect(hub.bodies("config.json").count == 1)
            #expect(Files.contents(models[0].weights[0], limit: 1 << 20) == smallModel().files["model.safetensors"])
        }
    }

    @Test func followsARenameAndAMovedBranch() async throws {
        try await TestHub.run(smallModel()) { hub in
            hub.move("old/name", to: "acme/tiny")
            hub.useWeakTags()
            let place = try Workplace(), settings = try place.settings(hub), old = HubReference(repo: RepoID("old/name")!)
            let first = try await Hub.with(settings) { try await $0.fetch(old) }
            #expect(first.folder.contains("models--old--name"))
            let commit = String(repeating: "0f", count: 20)
            hub.update("acme/tiny") {
                $0.commit = commit
                $0.files["config.json"] = Array(#"{"model_type":"qwen3"}"#.utf8)
            }
            hub.forget()
            let second = try await Hub.with(settings) { try await $0.fetch(old) }
            #expect(second.commit == commit)
            #expect(place.cache("old/name").commit("main") == commit)
            #expect(hub.requests.filter { $0.method == "GET" && $0.target.contains("/resolve/") }.allSatisfy { $0.target.contains("config.json") })
        }
    }

    @Test func readsTheIndexForTheShards() async throws {
        var repo = smallModel("acme/big")
        repo.files["model.safetensors"] = nil
        repo.files["model.safetensors.index.json"] = Array(
            #"{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors","c":"model-00001-of-00002.safetensors"}}"#.utf8)
        repo.files["model-00001-of-00002.safetensors"] = content(2000, seed: 21)
        repo.files["model-00002-of-00002.safetensors"] = content(3000, seed: 22)
        repo.files["extra.safetensors"] = content(10)
        try await TestHub.run(repo) { hub in
            let place = try Workplace(), big = HubReference(repo: RepoID("acme/big")!)
            let model = try await Hub.with(place.settings(hub)) { try await $0.fetch(big) }
            #expect(model.weights.map { $0.split(separator: "/").last! } == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"])
            #expect(hub.bodies("extra.safetensors").isEmpty)
            #expect(try LocalModel.inFolder(model.folder).weights == model.weights)
            hub.update("acme/big") { $0.commit = String(repeating: "7", count: 40); $0.files["model-00002-of-00002.safetensors"] = nil }
            let error = await #expect(throws: HubError.self) { try await Hub.with(place.settings(hub)) { try await $0.fetch(big) } }
            #expect(error == .fileNotFound(repo: "acme/big", revision: "main", file: "model-00002-of-00002.safetensors"))
        }
    }
}
