import Hub
import NIOHTTP1
import Testing

/// Against the library whose cache this is. Set `NEEDLETAIL_HUB_PYTHON` to a Python that has `huggingface_hub` to run these.
@Suite("With Python's huggingface_hub", .enabled(if: ChildProcess.variable("NEEDLETAIL_HUB_PYTHON") != nil), .serialized)
struct PythonTests {
    private let tiny = HubReference(repo: RepoID("acme/tiny")!)
    private let needed = ["chat_template.jinja", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]

    private func python(_ script: String, _ place: Workplace, _ hub: TestHub, _ more: [String: String] = [:]) async throws -> ChildProcess.Outcome {
        var environment = place.environment(hub, ["HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"])
        environment.merge(more) { $1 }
        return try await ChildProcess.run(
            [ChildProcess.variable("NEEDLETAIL_HUB_PYTHON") ?? "", "-c", script], environment: environment,
            output: Files.join(place.path, "python.out"))
    }

    private let download = """
        from huggingface_hub import snapshot_download
        print("AT", snapshot_download("acme/tiny", allow_patterns=["*.json", "*.jinja", "model.safetensors"]))
        """

    @Test func whatPythonFetchedIsUsed() async throws {
        try await TestHub.run(smallModel()) { hub in
            let place = try Workplace()
            let outcome = try await python(download, place, hub)
            try #require(outcome.status == 0, "\(outcome.output)")
            let cache = place.cache("acme/tiny"), commit = smallModel().commit
            #expect(outcome.output.contains("AT \(cache.snapshot(commit))"))
            #expect(cache.commit("main") == commit)
            // Version 2 keeps the listing, older ones do not.
            let keepsListing = Files.kind(Files.join(cache.folder, "trees")) == .folder
            if keepsListing { #expect(cache.tree(commit)?.count == smallModel().files.count) }

            hub.forget()
            let online = try await Hub.with(place.settings(hub)) { try await $0.fetch(tiny) }
            #expect(hub.requests.count == (keepsListing ? 1 : 2) && hub.requests[0].target == "/api/models/acme/tiny/revision/main")
            #expect(hub.requests.allSatisfy { $0.target.hasPrefix("/api/") })
            #expect(online.folder == cache.snapshot(commit))

            hub.forget()
            let offline = try await Hub.with(place.settings(hub, ["HF_HUB_OFFLINE": "1"])) { try await $0.fetch(tiny) }
            #expect(offline == online && hub.requests.isEmpty)
        }
    }

    @Test func pythonUsesWhatWeFetched() async throws {
        try await TestHub.run(smallModel()) { hub in
            let place = try Workplace()
            let model = try await Hub.with(place.settings(hub)) { try await $0.fetch(tiny) }
            hub.forget()
            let online = try await python(download, place, hub)
            try #require(online.status == 0, "\(online.output)")
            #expect(online.output.contains("AT \(model.folder)\n"))
            #expect(!hub.requests.contains { $0.isStorage || ($0.method == "GET" && $0.target.contains("/resolve/")) })

            hub.forget()
            let script = """
                import os
                from huggingface_hub import hf_hub_download, scan_cache_dir, try_to_load_from_cache
                \(download)
                for name in \(needed):
                    assert try_to_load_from_cache("acme/tiny", name) == hf_hub_download("acme/tiny", name), name
                info = scan_cache_dir()
                assert not info.warnings, info.warnings
                (repo,) = info.repos
                (revision,) = repo.revisions
                assert revision.refs == {"main"}, revision.refs
                print("SCAN", repo.repo_id, repo.nb_files, repo.size_on_disk)
                try:
                    from huggingface_hub._tree_cache import read_tree_cache
                except ImportError:
                    print("TREE unknown")
                else:
                    print("TREE", len(read_tree_cache(str(repo.repo_path), revision.commit_hash)))
                """
            let offline = try await python(script, place, hub, ["HF_HUB_OFFLINE": "1"])
            try #require(offline.status == 0, "\(offline.output)")
            let size = needed.reduce(0) { $0 + smallModel().files[$1]!.count }
            #expect(offline.output.contains("SCAN acme/tiny \(needed.count) \(size)\n"))
            #expect(offline.output.contains("TREE \(smallModel().files.count)\n") || offline.output.contains("TREE unknown\n"))
            #expect(hub.requests.isEmpty)
        }
    }

    @Test func bothAtOnceFetchTheWeightsOnce() async throws {
        try await TestHub.run(smallModel()) { hub in
            hub.misbehave("model.safetensors", .slow(1000))
            let place = try Workplace(), settings = try place.settings(hub)
            // Python starts up while ours holds the lock for 1.5 s.
            async let theirs = python(download, place, hub)
            while hub.requests.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
            let ours = try await Hub.with(settings) { try await $0.fetch(tiny) }
            let outcome = try await theirs
            try #require(outcome.status == 0, "\(outcome.output)")
            #expect(outcome.output.contains("AT \(ours.folder)\n"))
            #expect(hub.bodies("model.safetensors").filter(\.isStorage).count == 1)
            #expect(Files.contents(ours.weights[0], limit: 1 << 20) == smallModel().files["model.safetensors"])
        }
    }

    /// Versions before 2 go on with a part that we left; version 2 leaves it alone.
    @Test func aPartOfOursDoesNotDisturbPython() async throws {
        try await TestHub.run(smallModel()) { hub in
            let place = try Workplace(), cache = place.cache("acme/tiny"), bytes = smallModel().files["model.safetensors"]!
            let partial = cache.partial(TestHub.sha256(bytes))
            _ = try place.file(String(partial.dropFirst(place.path.count + 1)), Array(bytes[..<123_456]))
            let outcome = try await python(download, place, hub)
            try #require(outcome.status == 0, "\(outcome.output)")
            let range = hub.bodies("model.safetensors").last?.headers.first(name: "Range")
            #expect(range == nil || range == "bytes=123456-")
            let model = try await Hub.with(place.settings(hub)) { try await $0.fetch(tiny) }
            #expect(Files.contents(model.weights[0], limit: 1 << 20) == bytes)
        }
    }

    @Test func sameTokenAndPlaces() async throws {
        try await TestHub.run(smallModel()) { hub in
            let place = try Workplace()
            _ = try place.file("hf/token", Array("  hf_filed\n".utf8))
            let cases: [[String: String]] = [
                [:], ["HF_TOKEN": " hf_env\n"], ["HF_TOKEN": ""], ["HUGGING_FACE_HUB_TOKEN": "hf_old"], ["HF_HUB_CACHE": "~/x"],
                ["HUGGINGFACE_HUB_CACHE": "/somewhere/legacy"], ["HF_HUB_CACHE": "$HOME/y", "HUGGINGFACE_HUB_CACHE": "/somewhere/legacy"],
                ["HF_HOME": "${HOME}/z"], ["HF_TOKEN_PATH": "~/none"], ["HF_HUB_OFFLINE": "yes"], ["TRANSFORMERS_OFFLINE": "ON"],
                ["HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "1"], ["HF_HUB_OFFLINE": "2"], ["HF_HUB_DOWNLOAD_TIMEOUT": "33"],
                ["HF_HUB_DOWNLOAD_TIMEOUT": "0"], ["HF_ENDPOINT": "http://127.0.0.1:9/hub//"],
            ]
            let dictionaries = cases.map { "{" + $0.map { "\(String(reflecting: $0)): \(String(reflecting: $1))" }.joined(separator: ", ") + "}" }
            let script = """
                import importlib, os
                from huggingface_hub import constants as c, get_token
                before = dict(os.environ)
                for more in [\(dictionaries.joined(separator: ", "))]:
                    os.environ.clear()
                    os.environ.update(before | more)
                    importlib.reload(c)
                    print(c.HF_HUB_CACHE, get_token(), c.HF_HUB_OFFLINE, c.HF_HUB_DOWNLOAD_TIMEOUT, c.ENDPOINT, sep="|")
                """
            let outcome = try await python(script, place, hub)
            let lines = outcome.output.split(separator: "\n")
            try #require(lines.count == cases.count, "\(outcome.output)")
            for (more, line) in zip(cases, lines) {
                let settings = try HubSettings(environment: place.environment(hub, more))
                let theirs = line.split(separator: "|").map(String.init)
                try #require(theirs.count == 5, "\(line)")
                let token = theirs[1] == "None" ? nil : try HubToken(theirs[1], source: settings.token?.source ?? "")
                #expect(settings.cache == theirs[0], "\(more)")
                #expect(settings.token == token, "\(more)")
                #expect((settings.isOffline ? "True" : "False") == theirs[2], "\(more)")
                #expect("\(settings.idleTimeout)" == theirs[3], "\(more)")
                #expect(settings.endpoint.text == theirs[4], "\(more)")
            }
        }
    }
}
