import Gateway
import Glibc
import JSON
import Jobs
import Testing

@Suite struct AccessConfiguredKeysTests {
    private let secret = "0123456789abcdef-secret"

    private func read(_ json: JSONValue, file: String? = nil, environment: [String: String] = [:]) throws(DefinitionError) -> [AccessKey] {
        try ConfiguredKeys.read(json, file: file, environment: environment)
    }

    @Test func readsHashKeyAndVariable() throws {
        let keys = try read(
            [
                ["name": "a", "hash": .string(AccessKeyText.written(AccessKeyText.hash(of: secret))), "endpoints": ["chat"], "requestsPer10Seconds": 5],
                ["name": "b", "role": "admin", "key": "another-long-enough-key"],
                ["name": "c", "role": "worker", "key": "${WORKER_KEY}"],
            ], environment: ["WORKER_KEY": "key-from-the-environment"])
        #expect(keys.map(\.name) == ["a", "b", "c"])
        #expect(keys.map(\.role) == [.client, .admin, .worker])
        #expect(keys[0].hash == AccessKeyText.hash(of: secret))
        #expect(keys[0].endpoints == [EndpointID("chat")] && keys[0].requestsPer10Seconds == 5)
        #expect(keys[1].endpoints == nil)
        #expect(keys[2].hash == AccessKeyText.hash(of: "key-from-the-environment"))
    }

    static let wrong: [(JSONValue, String)] = [
        ("x", "expected a list"),
        (["x"], "keys[0]"),
        ([["key": "0123456789abcdef-secret"]], "needs a 'name'"),
        ([["name": "a/b", "key": "0123456789abcdef-secret"]], "'name' may hold"),
        ([["name": "a"]], "give the key's 'hash'"),
        ([["name": "a", "key": "0123456789abcdef-secret", "hash": "sha256:00"]], "not both"),
        ([["name": "a", "hash": "0123456789abcdef-secret"]], "64 hexadecimal digits"),
        ([["name": "a", "key": "short-secret"]], "16 to 512"),
        ([["name": "a", "key": "with space 0123456789abcdef-secret"]], "16 to 512"),
        ([["name": "a", "key": 1234567890123456]], "must be a text"),
        ([["name": "a", "key": "${NOT_THERE}"]], "NOT_THERE, which is not set"),
        ([["name": "a", "key": "0123456789abcdef-secret", "role": "king"]], "one of client, worker, admin"),
        ([["name": "a", "key": "0123456789abcdef-secret", "endpoints": []]], "is empty"),
        ([["name": "a", "key": "0123456789abcdef-secret", "endpoints": ["a b"]]], "can be no endpoint"),
        ([["name": "a", "key": "0123456789abcdef-secret", "color": "red"]], "'color' is no setting"),
        ([["name": "a", "key": "0123456789abcdef-secret"], ["name": "a", "key": "another-long-enough-key"]], "is taken"),
        ([["name": "a", "key": "0123456789abcdef-secret"], ["name": "b", "key": "0123456789abcdef-secret"]], "under another name"),
    ]

    @Test(arguments: wrong.indices)
    func refusesWithoutShowingTheKey(_ index: Int) {
        let (json, text) = Self.wrong[index]
        let error = #expect(throws: DefinitionError.self) { try read(json) }
        #expect(error?.description.contains(text) == true, "\(error?.description ?? "")")
        for secret in ["0123456789abcdef-secret", "short-secret", "1234567890123456"] { #expect(error?.description.contains(secret) == false) }
    }

    @Test func keysInClearWantAPrivateFile() throws {
        let path = "\(P_tmpdir)/needletail-keys-\(getpid())-\(UInt32.random(in: 0 ... .max)).yaml"
        let descriptor = open(path, O_CREAT | O_WRONLY, 0o644)
        try #require(descriptor >= 0)
        defer {
            close(descriptor)
            unlink(path)
        }
        let keys: JSONValue = [["name": "a", "key": .string(secret)]]
        fchmod(descriptor, 0o640)
        let error = #expect(throws: DefinitionError.self) { try read(keys, file: path) }
        #expect(error?.description.contains("mode 0640") == true && error?.description.contains("chmod 600") == true)
        #expect(error?.description.contains(secret) == false)
        // A hash or a variable may stand in a file that all can read.
        #expect(try read([["name": "a", "key": "${K}"]], file: path, environment: ["K": secret]).count == 1)
        fchmod(descriptor, 0o600)
        #expect(try read(keys, file: path).count == 1)
        #expect(throws: DefinitionError.self) { try read(keys, file: path + ".missing") }
    }
}
