import Hub
import Testing

@Suite("What the user types")
struct ReferenceTests {
    private func hub(_ repo: String, _ revision: String = "main", _ choice: String? = nil) -> ModelReference {
        .hub(HubReference(repo: RepoID(repo)!, revision: revision, choice: choice))
    }

    @Test func namesOnTheHub() throws {
        let cases: [(String, ModelReference)] = [
            ("Qwen/Qwen3-0.6B", hub("Qwen/Qwen3-0.6B")),
            ("org/name-GGUF:Q4_K_M", hub("org/name-GGUF", "main", "Q4_K_M")),
            ("org/name@v1.0", hub("org/name", "v1.0")),
            ("org/name@refs/pr/3:Q8_0", hub("org/name", "refs/pr/3", "Q8_0")),
            ("org/name:*q8*@dev", hub("org/name", "dev", "*q8*")),
            ("org/name/BF16/x-00001-of-00002.gguf", hub("org/name", "main", "BF16/x-00001-of-00002.gguf")),
            ("hf.co/org/name:Q8_0", hub("org/name", "main", "Q8_0")),
            ("https://huggingface.co/org/name/", hub("org/name")),
            ("https://huggingface.co/org/name/tree/dev", hub("org/name", "dev")),
            ("https://huggingface.co/org/name/blob/main/sub/x.gguf?download=true", hub("org/name", "main", "sub/x.gguf")),
        ]
        for (text, expected) in cases { #expect(try ModelReference(text, environment: [:]) == expected, "\(text)") }
        #expect("\(HubReference(repo: RepoID("a/b")!, revision: "dev", choice: "Q8_0"))" == "a/b@dev:Q8_0")
    }

    @Test(arguments: [
        "", "  ", "lonely", "a/b/c", "org/na me", "org/--x", "-org/x", "org/x.git", "org/..", "org/x@", "org/x:", "org/x@a@b", "org/x:a:b",
        "org/x@../../etc", "./nowhere", "/nowhere/at/all", "~/nowhere", "../nowhere/x.gguf", "http://elsewhere.example/org/x", "org/é",
    ])
    func refused(_ text: String) {
        let error = #expect(throws: HubError.self) { try ModelReference(text, environment: ["HOME": "/nowhere"]) }
        guard case .badReference(text, _, let lookedFor)? = error else { return #expect(Bool(false), "\(String(describing: error))") }
        #expect(lookedFor.isEmpty == !text.contains { !$0.isWhitespace })
    }

    @Test func foldersAndFiles() throws {
        let place = try Workplace(), env = ["HOME": place.path]
        _ = try place.file("model/config.json")
        _ = try place.file("model/model.safetensors")
        _ = try place.file("quants/a-Q4_0.gguf")
        _ = try place.file("quants/a-Q8_0.gguf")
        let blob = try place.file("blob", Array("GGUF\u{3}".utf8)), text = try place.file("weights.bin", Array("nope".utf8))
        _ = try place.file("empty/readme.txt")
        #expect(try ModelReference("\(place.path)/model", environment: env) == .folder(path: "\(place.path)/model", choice: nil))
        #expect(try ModelReference("~/quants:Q8_0", environment: env) == .folder(path: "\(place.path)/quants", choice: "Q8_0"))
        #expect(try ModelReference(blob, environment: env) == .file(path: blob))
        for path in [text, "\(place.path)/empty"] {
            let error = #expect(throws: HubError.self) { try ModelReference(path, environment: env) }
            #expect(error?.description.contains("Looked for") == true)
        }
        #expect(try LocalModel.inFolder("\(place.path)/quants", choice: "Q8_0").weights == ["\(place.path)/quants/a-Q8_0.gguf"])
        #expect(try LocalModel.file("\(place.path)/quants/a-Q4_0.gguf").name == "a-Q4_0")
        _ = try place.file("quants/b-00001-of-00002.gguf")
        #expect(throws: HubError.file(path: "\(place.path)/quants/b-00002-of-00002.gguf", action: "find", reason: "it is a part of b-00001-of-00002.gguf")) {
            try LocalModel.file("\(place.path)/quants/b-00001-of-00002.gguf")
        }
    }

    @Test func theDefault() throws {
        let place = try Workplace(), env = ["HOME": place.path]
        #expect(try DefaultModel.reference(environment: env) == hub("HuggingFaceTB/SmolLM2-135M-Instruct"))
        let file = try place.file(".cache/needletail/models/smollm2-135m-instruct.Q4_1.gguf")
        #expect(try DefaultModel.reference(environment: env) == .file(path: file))
        #expect(try DefaultModel.reference(environment: env.merging([DefaultModel.variable: "a/b"]) { $1 }) == hub("a/b"))
        #expect(throws: HubError.self) { try DefaultModel.reference(environment: [DefaultModel.variable: "/nowhere/x.gguf"]) }
        #expect(DefaultModel.places(environment: env).count == 3)
    }

    @Test func addresses() throws {
        let url = try #require(HubURL("https://Hub.example:8443/a/b?c=d#e"))
        #expect(url.text == "https://hub.example:8443/a/b?c=d" && url.withoutQuery == "https://hub.example:8443/a/b")
        for bad in ["", "hub.example", "https://", "https://a b", "https://u@h", "http://h:99999", "http://h:x", "ftp://h", "http://h/\r\nX: y"] {
            #expect(HubURL(bad) == nil, "\(bad)")
        }
        #expect(HubURL("http://[::1]:80/x")?.origin == "http://[::1]")
        #expect(RepoID("a/b")?.folderName == "models--a--b")
    }
}
