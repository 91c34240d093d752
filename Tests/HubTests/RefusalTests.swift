import Hub
import NIOHTTP1
import Testing

@Suite("Refusals and errors")
struct RefusalTests {
    private let tiny = HubReference(repo: RepoID("acme/tiny")!)

    private func failure(_ hub: TestHub, _ reference: HubReference, _ more: [String: String] = [:], _ place: Workplace? = nil) async throws -> HubError {
        let place = try place ?? Workplace()
        return try #require(await #expect(throws: HubError.self) {
            try await Hub.with(place.settings(hub, more)) { try await $0.fetch(reference) }
        })
    }

    @Test func gated() async throws {
        var repo = smallModel()
        (repo.token, repo.isGated) = ("hf_member", true)
        try await TestHub.run(repo) { hub in
            let stranger = try await failure(hub, tiny)
            #expect(stranger == .gated(repo: "acme/tiny", page: "\(hub.endpoint)/acme/tiny", hasToken: false))
            #expect(stranger.description.contains("HF_TOKEN") && stranger.description.contains("\(hub.endpoint)/acme/tiny"))
            let known = try await failure(hub, tiny, ["HF_TOKEN": "hf_other"])
            #expect(known == .gated(repo: "acme/tiny", page: "\(hub.endpoint)/acme/tiny", hasToken: true))
            #expect(!known.description.contains("hf_other"))
            #expect(try await failure(hub, tiny, ["HF_TOKEN": "hf_expired"]) == .tokenRejected(source: "HF_TOKEN"))
        }
    }

    @Test func unknownOrPrivate() async throws {
        var hidden = smallModel()
        hidden.token = "hf_member"
        try await TestHub.run(hidden) { hub in
            let page = "\(hub.endpoint)/acme/tiny"
            let stranger = try await failure(hub, tiny)
            #expect(stranger == .repoNotFound(repo: "acme/tiny", page: page, hasToken: false))
            #expect(stranger.description.contains("does not exist") && stranger.description.contains("private"))
            #expect(try await failure(hub, tiny, ["HF_TOKEN": "hf_x"]) == .repoNotFound(repo: "acme/tiny", page: page, hasToken: true))
            let nobody = HubReference(repo: RepoID("acme/nothing")!)
            #expect(try await failure(hub, nobody) == .repoNotFound(repo: "acme/nothing", page: "\(hub.endpoint)/acme/nothing", hasToken: false))
        }
    }

    @Test func unknownRevision() async throws {
        try await TestHub.run(smallModel()) { hub in
            var reference = tiny
            reference.revision = "refs/pr/7"
            #expect(try await failure(hub, reference) == .revisionNotFound(repo: "acme/tiny", revision: "refs/pr/7"))
            #expect(hub.requests.map(\.target) == ["/api/models/acme/tiny/revision/refs%2Fpr%2F7"])
            reference.revision = smallModel().commit
            let place = try Workplace()
            let model = try await Hub.with(place.settings(hub)) { try await $0.fetch(reference) }
            #expect(model.commit == smallModel().commit)
            #expect(Files.kind(Files.join(place.cache("acme/tiny").folder, "refs")) == nil)
        }
    }

    @Test func noNetwork() async throws {
        let place = try Workplace()
        let (environment, model) = try await TestHub.run(smallModel()) { hub in
            let model = try await Hub.with(place.settings(hub)) { try await $0.fetch(tiny) }
            return (place.environment(hub), model)
        }
        // Nobody listens there any more.
        var settings = try HubSettings(environment: environment)
        settings.retries.firstDelay = .milliseconds(1)
        let progress = RecordedProgress()
        #expect(try await Hub.with(settings, progress: progress) { try await $0.fetch(tiny) } == model)
        #expect(progress.now.notes.count == 1 && progress.now.notes[0].hasPrefix("using the copy of acme/tiny in the cache"))

        settings.cache = Files.join(place.path, "empty")
        let error = await #expect(throws: HubError.self) { try await Hub.with(settings) { try await $0.fetch(tiny) } }
        guard case .network("127.0.0.1", _)? = error else { return #expect(Bool(false), "\(String(describing: error))") }
        #expect(error?.description.contains("HF_HUB_OFFLINE") == true)
        #expect(Files.kind(settings.cache) == nil)
    }

    @Test func offlineNamesWhatIsMissing() async throws {
        try await TestHub.run(smallModel()) { hub in
            let place = try Workplace(), offline = ["HF_HUB_OFFLINE": "1"], cache = place.cache("acme/tiny"), commit = smallModel().commit
            guard case .missingOffline("acme/tiny", "main", let all, _, _) = try await failure(hub, tiny, offline, place) else {
                return #expect(Bool(false))
            }
            #expect(all.count == 1 && all[0].contains("never fetched"))

            _ = try await Hub.with(place.settings(hub)) { try await $0.fetch(tiny) }
            Files.remove(cache.pointer("tokenizer.json", commit))
            Files.remove(cache.pointer("model.safetensors", commit))
            hub.forget()
            let error = try await failure(hub, tiny, offline, place)
            guard case .missingOffline(_, _, ["tokenizer.json", "model.safetensors"], cache.root, let cause) = error else {
                return #expect(Bool(false), "\(error)")
            }
            #expect(cause.contains("HF_HUB_OFFLINE") && hub.requests.isEmpty)
        }
    }

    @Test func anUnwritableCacheAndAFullDisk() async throws {
        try await TestHub.run(smallModel()) { hub in
            let place = try Workplace(), blocker = try place.file("blocked")
            guard case .file(blocker, _, _) = try await failure(hub, tiny, ["HF_HUB_CACHE": blocker], place) else { return #expect(Bool(false)) }
            // A file system that takes no new folder even from root, as a read-only mount would.
            let error = try await failure(hub, tiny, ["HF_HUB_CACHE": "/proc/needletail"], place)
            switch error {
            case .permission(let path, _), .file(let path, _, _): #expect(path.hasPrefix("/proc/needletail"))
            default: #expect(Bool(false), "\(error)")
            }
            var huge = smallModel("acme/huge")
            huge.files["config.json"] = nil
            #expect(try #require(Files.freeSpace(place.path)) > 0)
            #expect(Files.freeSpace(Files.join(place.path, "not/yet/there")) != nil)
        }
    }

    @Test func tooLittleRoomIsSeenBeforeTheStart() async throws {
        try await TestHub.run(smallModel()) { hub in
            let place = try Workplace(), cache = place.cache("acme/tiny"), commit = smallModel().commit
            // A listing on disk, as Python may have left it, says that the file is larger than any disk.
            let listing = #"{"format_version":1,"files":{"config.json":{"size":2,"blob_id":"aa"},"model.safetensors":{"size":134,"blob_id":"bb","lfs_sha256":"cc","lfs_size":4000000000000000000}}}"#
            _ = try place.file(String("\(cache.folder)/trees/\(commit).json".dropFirst(place.path.count + 1)), Array(listing.utf8))
            guard case .diskFull(cache.root, 4_000_000_000_000_000_002, let free) = try await failure(hub, tiny, [:], place) else {
                return #expect(Bool(false))
            }
            #expect(free > 0 && hub.bodies("config.json").isEmpty)
        }
    }

    @Test func aRepositoryWithoutAModel() async throws {
        var repo = smallModel()
        repo.files = ["README.md": [1], "pytorch_model.bin": [2], "config.json": [3]]
        try await TestHub.run(repo) { hub in
            let error = try await failure(hub, tiny)
            #expect(error == .noModel(repo: "acme/tiny", found: ["README.md", "config.json", "pytorch_model.bin"]))
        }
    }

    @Test func answersThatWouldLeaveTheCache() async throws {
        var repo = smallModel()
        repo.large = []
        try await TestHub.run(repo) { hub in
            let place = try Workplace()
            for tag in ["../../../evil", ".hidden", "a/b", "..", " ", "a b", String(repeating: "x", count: 300)] {
                hub.claim(tag: tag)
                guard case .badAnswer(_, let reason) = try await failure(hub, tiny, [:], place) else { return #expect(Bool(false), "\(tag)") }
                #expect(reason.contains("ETag"))
            }
            // Another server's own names are fine; the tree's hash then checks the content.
            hub.claim(tag: "v1:some.etag")
            hub.misbehave("config.json", .corrupt)
            guard case .wrongHash("config.json", _, _) = try await failure(hub, tiny, [:], place) else { return #expect(Bool(false)) }
            _ = try await Hub.with(place.settings(hub)) { try await $0.fetch(tiny) }
            hub.claim(tag: nil)
            for path in ["../evil.json", "/etc/evil.json", "a/../../evil.json", "a//b.json", "./x.json"] {
                hub.update("acme/tiny") {
                    $0.commit = TestHub.gitBlob(Array(path.utf8))
                    $0.files = smallModel().files.merging([path: [1]]) { $1 }
                }
                guard case .badAnswer(_, let reason) = try await failure(hub, tiny, ["HF_HUB_CACHE": Files.join(place.path, "other")]) else {
                    return #expect(Bool(false), "\(path)")
                }
                #expect(reason.contains("path"))
            }
        }
    }

    @Test func redirectsInCircles() async throws {
        try await TestHub.run(smallModel()) { hub in
            hub.move("acme/tiny", to: "acme/tiny")
            guard case .tooManyRedirects(let url) = try await failure(hub, tiny) else { return #expect(Bool(false)) }
            #expect(url.hasPrefix("\(hub.endpoint)/acme/tiny/resolve/"))
        }
    }

    @Test func settingsThatCannotBe() throws {
        func error(_ environment: [String: String]) -> HubError? { #expect(throws: HubError.self) { try HubSettings(environment: environment) } }
        for (name, value) in [
            ("HF_ENDPOINT", "ftp://x"), ("HF_ENDPOINT", "https://user:pw@host"), ("HF_HUB_DOWNLOAD_TIMEOUT", "soon"), ("HF_TOKEN", "hf_a b"),
            ("HTTPS_PROXY", "socks5://x"),
        ] {
            guard case .badSetting(name, let reason)? = error([name: value, "HOME": "/nowhere"]) else { return #expect(Bool(false), "\(name)") }
            #expect(!reason.contains("hf_a"))
        }
        let settings = try HubSettings(environment: [
            "HOME": "/nowhere", "HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": ".local,huggingface.co", "SSL_CERT_FILE": "~/ca.pem",
        ])
        #expect(settings.proxy == nil && settings.certificateAuthorities == "/nowhere/ca.pem")
        #expect(settings.cache == "/nowhere/.cache/huggingface/hub" && settings.endpoint.text == "https://huggingface.co")
    }
}
