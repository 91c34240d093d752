import Gateway
import JSON
import Jobs
import Logging
import Synchronization
import Testing

@Suite struct ObservabilityLogTests {
    private final class Lines: Sendable {
        private let bytes = Mutex<[[UInt8]]>([])
        var sink: LogSink { LogSink { [self] line in bytes.withLock { $0.append(line) } } }
        var texts: [String] { bytes.withLock { $0.map { String(decoding: $0, as: UTF8.self) } } }
    }

    private struct Odd: Error, CustomStringConvertible { let description: String }

    private func logger(_ lines: Lines, _ format: LogFormat, _ redactor: Redactor = Redactor()) -> Logger {
        Logger(label: "gateway") { JobLogHandler(label: $0, format: format, level: .debug, redactor: redactor, sink: lines.sink) }
    }

    @Test func jsonIsOneObjectALine() throws {
        let lines = Lines()
        var logger = logger(lines, .json)
        for (name, value) in [("worker", "w1"), ("endpoint", "chat"), ("job", "j1")] { logger[metadataKey: name] = "\(value)" }
        logger.warning("two\nlines \"quoted\" \u{1B}[31m", metadata: ["message": "mine", "list": ["a", "b"], "map": ["x": "1"]])
        logger.trace("not shown")
        #expect(lines.texts.count == 1)
        let text = try #require(lines.texts.first)
        #expect(text.hasSuffix("}\n") && text.dropLast().allSatisfy { $0 != "\n" } && !text.contains("\u{1B}"))
        let json = try JSONValue(parsing: text)
        #expect(json["level"]?.string == "warning" && json["logger"]?.string == "gateway" && json["message"]?.string == "two\nlines \"quoted\" \u{1B}[31m")
        #expect(json["job"]?.string == "j1" && json["endpoint"]?.string == "chat" && json["worker"]?.string == "w1")
        #expect(json["metadata.message"]?.string == "mine" && json["list"]?.string == "[a, b]" && json["map"]?.string == "{x: 1}")
        let time = try #require(json["time"]?.string)
        #expect(time.utf8.count == 24 && time.hasSuffix("Z"))
        #expect(json.object?.members.map(\.key).prefix(7) == ["time", "level", "logger", "message", "job", "endpoint", "worker"])
    }

    @Test func textIsOneLine() throws {
        let lines = Lines()
        logger(lines, .text).info("a\nb", metadata: ["error": "x y\nz", "worker": "w1", "empty": ""])
        let text = try #require(lines.texts.first)
        #expect(text.hasSuffix(" info a\\nb worker=w1 empty=\"\" error=\"x y\\nz\"\n"), "\(text)")
    }

    @Test func times() {
        #expect(LogTime.text(Timestamp(milliseconds: 0)) == "1970-01-01T00:00:00.000Z")
        #expect(LogTime.text(Timestamp(milliseconds: 1_709_210_096_007)) == "2024-02-29T12:34:56.007Z")
        #expect(LogTime.text(Timestamp(milliseconds: -1)) == "1969-12-31T23:59:59.999Z")
    }

    @Test func metadataIsAValue() {
        let lines = Lines()
        var first = logger(lines, .text)
        let second = first
        first[metadataKey: "job"] = "j1"
        second.info("plain")
        first.info("with")
        #expect(lines.texts.map { $0.contains("job=j1") } == [false, true])
    }

    static let carriers = [
        "@@", "key @@.", "Bearer @@", "Authorization: Bearer @@", "authorization=@@", "\"Authorization\": \"Bearer @@\"", "(@@)", "'@@', 'x'", "https://host/@@/x?a=@@&b=1",
        "https://user:@@@host/path", "{\"key\":\"@@\"}", "{\\\"key\\\":\\\"@@\\\"}", "RUNPOD_AI_API_KEY=@@", "curl -H 'Authorization: @@' x", "a=1&key=@@", "[\"@@\",\"@@\"]",
        "x:@@", "@@\n@@", "{\"s3Config\": {\"accessSecret\" : \"@@\"}}",
    ]

    @Test(arguments: carriers)
    func keysNeverAppear(_ carrier: String) {
        // One of ours by its form, one that only the ring knows.
        let made = AccessKeyText.make(role: .client)
        let own = "correct.horse-battery_staple"
        let ring = KeyRing(configured: [AccessKey(name: "a", role: .client, hash: AccessKeyText.hash(of: own), endpoints: nil, createdAt: .now)])
        for (key, redactor) in [(made.text, Redactor()), (own, Redactor(isKey: { ring.isKey($0) }))] {
            let text = carrier.replacing("@@", with: key)
            #expect(!redactor(text).contains(key), "\(redactor(text))")
            for format in LogFormat.allCases {
                let lines = Lines()
                var logger = logger(lines, format, redactor)
                logger[metadataKey: "fixed"] = "\(text)"
                logger.error("\(text)", error: Odd(description: text), metadata: ["text": "\(text)", "list": ["\(text)"], "map": ["inner": ["\(text)"]]])
                let line = lines.texts.joined()
                #expect(lines.texts.count == 1 && !line.contains(key) && line.contains(Redactor.mark), "\(line)")
            }
        }
    }

    @Test(arguments: [
        ("password=hunter2 next", "password=[redacted] next"), ("\"accessSecret\": \"abc\", \"bucket\": \"b\"", "\"accessSecret\": \"[redacted]\", \"bucket\": \"b\""),
        ("Authorization: Basic dXNlcjpw x", "Authorization: Basic [redacted] x"), ("postgres://needle:tail@db:5432/jobs", "postgres://[redacted]@db:5432/jobs"),
        ("HF_TOKEN=hf_abc", "HF_TOKEN=[redacted]"), ("X-API-Key: abc123", "X-API-Key: [redacted]"), ("cookie: a=b", "cookie: [redacted]"),
    ])
    func secretsByPlace(_ text: String, _ expected: String) { #expect(Redactor()(text) == expected) }

    @Test(arguments: [
        "job 60902e6c-08a1-426e-9cb9-9eaec90f5e2b-u1 completed", "12 tokens in 3 s", "the key 'ci' is not known", "worker w1 lost: exit code 1", "https://example.com/a?b=c@d",
        "no token came for 30 s", "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "monkey: banana", "naïve – ünïcode 🐦", "", "short",
    ])
    func otherTextsStay(_ text: String) { #expect(Redactor()(text) == text) }

    @Test func namedMetadataIsHidden() {
        let lines = Lines()
        logger(lines, .json).info("x", metadata: ["Authorization": "abc", "api_key": "def", "map": ["password": "ghi"], "keyName": "ci"])
        let text = lines.texts.joined()
        #expect(!text.contains("abc") && !text.contains("def") && !text.contains("ghi") && text.contains("\"keyName\":\"ci\""))
    }

    @Test func hugeTextsAreBorne() {
        let text = String(repeating: "a=b/c:d ", count: 50_000) + AccessKeyText.make(role: .worker).text
        let start = ContinuousClock.now
        #expect(Redactor()(text).hasSuffix(Redactor.mark))
        #expect(Redactor()(String(repeating: "x", count: 500_000)).utf8.count == 500_000)
        #expect(Redactor()(String(repeating: "x/", count: 250_000)).utf8.count == 500_000)
        #expect(ContinuousClock.now - start < .seconds(10))
    }
}
