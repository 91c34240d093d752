import Gateway
import JSON
import Jobs
import Testing

@Suite struct AccessKeyRingTests {
    private func key(_ name: String, _ text: String, _ role: AccessKey.Role = .client, _ endpoints: Set<EndpointID>? = nil) -> AccessKey {
        AccessKey(name: name, role: role, hash: AccessKeyText.hash(of: text), endpoints: endpoints, createdAt: .now)
    }

    private func worker(_ id: String, _ endpoint: String, secret: String?) -> WorkerRecord {
        var record = WorkerRecord(id: WorkerID(id), endpoint: EndpointID(endpoint), state: .initializing, version: "", startedAt: .now)
        record.secretHash = secret.map(AccessKeyText.hash)
        return record
    }

    @Test func madeKeysHaveTheirFormAndDiffer() {
        let key = AccessKeyText.make(role: .client)
        #expect(key.text.hasPrefix("nt_client_"))
        #expect(key.text.utf8.count == 10 + 43)
        #expect(key.text.isURLName)
        #expect(key.hash == AccessKeyText.hash(of: key.text))
        #expect(AccessKeyText.make(role: .client).text != key.text)
        #expect(AccessKeyText.parseHash(AccessKeyText.written(key.hash)) == key.hash)
        for printed in ["\(key)", String(reflecting: key), String(describing: Optional(key))] { #expect(!printed.contains(key.text)) }
        var dumped = ""
        dump(key, to: &dumped)
        #expect(!dumped.contains(key.text))
    }

    @Test func hashIsSHA256() {
        // FIPS 180-2, B.1.
        #expect(AccessKeyText.written(AccessKeyText.hash(of: "abc")) == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(AccessKeyText.parseHash("sha256:ba78") == nil)
        #expect(AccessKeyText.parseHash("sha256:" + String(repeating: "g", count: 64)) == nil)
        #expect(AccessKeyText.parseHash("SHA256:" + String(repeating: "0", count: 64)) == nil)
    }

    @Test(arguments: ["", "f", "fo", "foo", "foob", "fooba", "foobar"])
    func base64(_ text: String) {
        // RFC 4648, section 10.
        let known = ["": "", "f": "Zg==", "fo": "Zm8=", "foo": "Zm9v", "foob": "Zm9vYg==", "fooba": "Zm9vYmE=", "foobar": "Zm9vYmFy"]
        #expect(Base64Text.standard(Array(text.utf8)) == known[text])
        #expect(Base64Text.url([0xFB, 0xFF]) == "-_8")
    }

    @Test(arguments: ["Bearer sesame-sesame", "bearer sesame-sesame", "BEARER   sesame-sesame", "sesame-sesame", "  Bearer sesame-sesame  "])
    func acceptedHeaders(_ header: String) {
        let ring = KeyRing(configured: [key("a", "sesame-sesame")])
        #expect(ring.authenticate(header)?.key.name == "a")
    }

    @Test(arguments: [
        "", " ", "Bearer", "Bearer ", "Basic sesame-sesame", "Bearer sesame-sesame x", "Bearer sesame-sesam", "Bearer sesame-sesame1", "Sesame-sesame",
        "Bearer Bearer sesame-sesame",
    ])
    func refusedHeaders(_ header: String) {
        let ring = KeyRing(configured: [key("a", "sesame-sesame"), key("b", "Bearer")])
        #expect(ring.authenticate(header) == nil)
        #expect(ring.authenticate(nil) == nil)
    }

    @Test func longTextsAreNoKeys() {
        let long = String(repeating: "a", count: KeyRing.longestKeyInBytes + 1)
        let ring = KeyRing(configured: [key("a", long)])
        #expect(ring.authenticate("Bearer " + long) == nil)
        #expect(ring.authenticate(String(repeating: "b", count: 1 << 20)) == nil)
    }

    @Test func sourcesAreReplacedApart() {
        let ring = KeyRing(configured: [key("file", "file-key")])
        ring.replaceStored([key("made", "made-key", .admin)])
        ring.replaceWorkers([worker("w1", "chat", secret: "w1-key"), worker("w2", "chat", secret: nil)])
        #expect(ring.authenticate("file-key")?.key.name == "file")
        #expect(ring.authenticate("made-key")?.key.role == .admin)
        #expect(ring.authenticate("w1-key")?.worker == WorkerID("w1"))
        ring.replaceStored([])
        #expect(ring.authenticate("made-key") == nil)
        #expect(ring.authenticate("file-key") != nil)
        #expect(ring.isConfigured("file") && !ring.isConfigured("made"))
        ring.replaceConfigured([])
        #expect(ring.authenticate("file-key") == nil)
        #expect(!ring.isConfigured("file"))
        ring.remove(worker("w1", "chat", secret: "w1-key"))
        #expect(ring.authenticate("w1-key") == nil)
    }

    @Test func workersKeyOpensOnlyItself() throws {
        let ring = KeyRing(configured: [key("shared", "shared-key", .worker, [EndpointID("chat")]), key("client", "client-key"), key("root", "admin-key", .admin)])
        ring.add(worker("w1", "chat", secret: "w1-key"))
        let own = try #require(ring.authenticate("Bearer w1-key"))
        #expect(own.mayWork(as: WorkerID("w1"), on: EndpointID("chat"), hasOwnKey: true))
        #expect(!own.mayWork(as: WorkerID("w2"), on: EndpointID("chat"), hasOwnKey: true))
        #expect(!own.mayWork(as: WorkerID("w2"), on: EndpointID("chat"), hasOwnKey: false))
        #expect(!own.mayWork(as: WorkerID("w1"), on: EndpointID("other"), hasOwnKey: true))
        #expect(!own.mayUse(EndpointID("chat")) && !own.mayAdminister)

        let shared = try #require(ring.authenticate("shared-key"))
        #expect(shared.mayWork(as: WorkerID("x"), on: EndpointID("chat"), hasOwnKey: false))
        #expect(!shared.mayWork(as: WorkerID("w1"), on: EndpointID("chat"), hasOwnKey: true))
        #expect(!shared.mayWork(as: WorkerID("x"), on: EndpointID("other"), hasOwnKey: false))

        let client = try #require(ring.authenticate("client-key"))
        #expect(client.mayUse(EndpointID("chat")) && !client.mayAdminister && !client.mayWork(as: WorkerID("x"), on: EndpointID("chat"), hasOwnKey: false))
        let root = try #require(ring.authenticate("admin-key"))
        #expect(root.mayUse(EndpointID("chat")) && root.mayAdminister && !root.mayWork(as: WorkerID("x"), on: EndpointID("chat"), hasOwnKey: false))
    }

    @Test func scopeBindsClientsAndAdmins() {
        let client = Caller(key: key("a", "a", .client, [EndpointID("chat")]))
        #expect(client.mayUse(EndpointID("chat")) && !client.mayUse(EndpointID("other")))
        #expect(!Caller(key: key("b", "b", .admin, [EndpointID("chat")])).mayAdminister)
    }

    @Test func manyWorkersAreFound() {
        let ring = KeyRing()
        ring.replaceWorkers((0..<5000).map { worker("w\($0)", "chat", secret: "secret-\($0)") })
        for index in [0, 1, 2500, 4999] { #expect(ring.authenticate("secret-\(index)")?.worker == WorkerID("w\(index)")) }
        #expect(ring.authenticate("secret-5000") == nil)
    }
}
