import Crypto
import Gateway
import JSON
import Jobs
import Testing

@Suite struct DashboardTests {
    private let now = Timestamp(milliseconds: 1_800_000_000_000)

    private func value(_ write: (inout JSONWriter) -> Void) throws -> JSONValue {
        var writer = JSONWriter()
        write(&writer)
        return try JSONValue(parsing: writer.bytes)
    }

    @Test func overviewIsJSONWhateverTheTexts() throws {
        let nasty = "</script><img src=x onerror=alert(1)>\"\\\n\u{0}\u{2028}é"
        var worker = WorkerRecord(id: WorkerID("w1"), endpoint: EndpointID("chat"), state: .unhealthy, version: "", startedAt: now)
        worker.reason = nasty
        worker.readyAt = now + 1500
        let series = TimeSeries()
        series.recordQueueDelay(milliseconds: 120, at: now)
        var counts = JobCounts()
        counts.inQueue = 3
        counts.oldestQueuedAt = now
        let endpoint = DashboardEndpoint(
            id: EndpointID("chat"), health: .failing, reason: nasty, counts: counts, scaling: ScalingSettings(), provider: .process, workersUp: 1, workersWanted: 2,
            why: nasty, workerMilliseconds: 12_345, points: series.points(now: now))
        let overview = DashboardOverview(
            now: now, version: "1", startedAt: now, store: "SQLite", pricePerHour: 0.5, endpoints: [endpoint],
            workers: [DashboardWorker(worker, jobs: (0..<150).map { JobID("j\($0)") }, capacity: 4, phases: [.init("weights", milliseconds: 1200)])])
        let json = try value { overview.write(into: &$0) }
        #expect(json["now"]?.int == now.milliseconds)
        #expect(json["pricePerHour"]?.double == 0.5)
        let first = try #require(json["endpoints"]?.array?.first)
        #expect(first["reason"]?.string == nasty && first["why"]?.string == nasty)
        #expect(first["inQueue"]?.int == 3 && first["workerSeconds"]?.double == 12.345)
        #expect(first["rule"]?.string == "QUEUE_DELAY")
        #expect(first["points"]?["queueDelayP50"]?.array?.count == 180)
        let shown = try #require(json["workers"]?.array?.first)
        #expect(shown["jobs"]?.array?.count == 100 && shown["jobCount"]?.int == 150)
        #expect(shown["phases"]?.array?.first?["milliseconds"]?.int == 1200)
        #expect(shown["reason"]?.string == nasty && shown["seenAt"] == .some(.null))
    }

    @Test func jobsAreJSON() throws {
        var job = Job(
            id: JobID("a"), endpoint: EndpointID("chat"), origin: .run, policy: JobPolicy(executionTimeout: 1, timeToLive: 2, retention: 3),
            webhook: "https://example.com/secret", submittedAt: now)
        job.state = .failed
        job.takenAt = now + 100
        job.finishedAt = now + 300
        let line = DashboardJob(JobLogEntry(job, error: "<b>"))
        let page = try value { DashboardJobPage(jobs: [line, line], before: now).write(into: &$0) }
        #expect(page["before"]?.int == now.milliseconds && page["jobs"]?.array?.count == 2)
        #expect(page["jobs"]?.array?.first?["error"]?.string == "<b>")
        #expect(try value { DashboardJobPage(jobs: [], before: nil).write(into: &$0) }["before"] == .some(.null))
        let input = Array("[\"\(String(repeating: "x", count: 100_000))\"]".utf8)
        let detail = try value { DashboardJobDetail(line, record: job, input: input, output: [0xFF, 0x22]).write(into: &$0) }
        #expect(detail["delayTime"]?.int == 100 && detail["executionTime"]?.int == 200 && detail["hasWebhook"]?.bool == true)
        #expect(detail["input"]?.string?.hasSuffix("(100004 bytes in all)") == true)
        #expect(detail["output"]?.string == "\u{FFFD}\"")
        // A webhook's URL may hold a secret.
        #expect(!detail.text.contains("example.com"))
        let bare = try value { DashboardJobDetail(line).write(into: &$0) }
        #expect(bare["isKept"]?.bool == false && bare["input"] == .some(.null))
    }

    @Test func queriesAreRead() throws {
        let query = try DashboardJobsQuery([("endpoint", "chat"), ("endpoint", "other"), ("state", "FAILED"), ("text", "50%"), ("before", "17"), ("limit", "5")])
        #expect(query.log.endpoints == [EndpointID("chat"), EndpointID("other")] && query.log.states == [.failed] && query.live == nil)
        #expect(query.log.text == "50%" && query.log.before == Timestamp(milliseconds: 17) && query.log.limit == 5)
        #expect(try DashboardJobsQuery([("state", "IN_QUEUE"), ("text", "")]).live == .inQueue)
        for wrong in [("state", "RUNNING"), ("limit", "0"), ("limit", "501"), ("before", "x"), ("endpoint", "a/b"), ("color", "red"), ("text", String(repeating: "x", count: 257))] {
            #expect(throws: DefinitionError.self) { try DashboardJobsQuery([wrong]) }
        }
    }

    @Test func pageIsSelfContained() throws {
        let page = String(decoding: DashboardPage.html, as: UTF8.self)
        #expect(page.hasPrefix("<!doctype html>"))
        for text in ["http://", "https://", "//cdn", "@import", "innerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=\"", " onclick="] {
            #expect(!page.contains(text), "\(text)")
        }
        // One script and one style, so that one hash of each is all that may run.
        #expect(page.split(separator: "<script").count == 2 && page.split(separator: "<style").count == 2)
        let policy = try #require(DashboardPage.headers.first { $0.name == "Content-Security-Policy" }).value
        #expect(policy.hasPrefix("default-src 'none'; ") && !policy.contains("unsafe"))
        for (element, directive) in [("script", "script-src"), ("style", "style-src")] {
            let bytes = DashboardPage.html
            let start = try #require(place(of: Array("<\(element)>".utf8), in: bytes)) + element.utf8.count + 2
            let end = try #require(place(of: Array("</\(element)>".utf8), in: bytes))
            #expect(policy.contains("\(directive) 'sha256-\(Base64Text.standard(Array(SHA256.hash(data: bytes[start..<end]))))'"))
        }
    }

    private func place(of text: [UInt8], in bytes: [UInt8]) -> Int? {
        (0...bytes.count - text.count).first { bytes[$0..<$0 + text.count].elementsEqual(text) }
    }
}
