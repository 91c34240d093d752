import Glibc
import Jobs
import PostgresStore
import SQLiteStore

/// Measures a job store: `store-bench sqlite:PATH|postgres://… [submit|whole|all|submit-for-ever] [callers] [seconds]`.
/// `submit-for-ever` submits and prints the id of each acknowledged job until it is killed, for crash tests.
@main struct StoreBench: Sendable {
    let store: any JobStore
    let callers: Int
    let seconds: Double
    private let endpoint = EndpointID("bench")
    private let payload = JobPayload(
        input: Array(#"{"messages":[{"role":"user","content":"\#(String(repeating: "word ", count: 100))"}]}"#.utf8))

    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count >= 2 else {
            print("usage: store-bench sqlite:PATH|postgres://… [submit|whole|all|submit-for-ever] [callers] [seconds]")
            exit(2)
        }
        let mode = arguments.count > 2 ? arguments[2] : "all"
        let store: any JobStore
        do { store = try await open(arguments[1]) } catch {
            print(error)
            exit(1)
        }
        let bench = StoreBench(
            store: store, callers: arguments.count > 3 ? Int(arguments[3]) ?? 64 : 64,
            seconds: arguments.count > 4 ? Double(arguments[4]) ?? 5 : 5)
        if mode == "submit-for-ever" { try await bench.submitForEver() }
        if mode == "submit" || mode == "all" { try await bench.submits() }
        if mode == "whole" || mode == "all" { try await bench.wholeJobs() }
        try await bench.counts()
        await bench.store.close()
    }

    static func open(_ place: String) async throws -> any JobStore {
        if place.hasPrefix("sqlite:") { return try SQLiteStore(path: String(place.dropFirst(7))) }
        return try await PostgresStore(url: place)
    }

    func newJob() -> NewJob {
        let policy = JobPolicy(executionTimeout: 600_000, timeToLive: 86_400_000, retention: 1_800_000)
        return NewJob(job: Job(id: .make(.run), endpoint: endpoint, origin: .run, policy: policy, submittedAt: .now), payload: payload)
    }

    func submits() async throws {
        try await measure("submits, synced") { _ in try await store.submit([newJob()], .synced) }
    }

    func wholeJobs() async throws {
        try await measure("whole jobs (submit synced, take, finish synced)") { caller in
            let job = newJob(), worker = WorkerID("w\(caller)")
            try await store.submit([job], .synced)
            let taken = try await store.apply([JobStep(job.job.id, .take(worker: worker, attempt: 1), at: .now)], .committed)
            let outcome = JobOutcome.completed(output: payload.input)
            let done = try await store.apply([JobStep(job.job.id, .finish(worker: worker, attempt: 1, outcome), at: .now)], .synced)
            guard taken[0].isApplied, done[0].isApplied else { throw StoreError.broken("a step of a job of our own was not applied") }
        }
    }

    func counts() async throws {
        let clock = ContinuousClock(), start = clock.now
        for _ in 0..<20 { _ = try await store.counts(endpoint) }
        let span = (clock.now - start) / 20
        print("counts: \(span) with \(try await store.counts(endpoint).inQueue) jobs in the queue")
    }

    func submitForEver() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<callers {
                group.addTask {
                    while true {
                        let job = newJob()
                        try await store.submit([job], .committed)
                        // One write a line: lines of several tasks do not mix, and none waits in a buffer when the process is killed.
                        let line = Array("\(job.job.id)\n".utf8)
                        _ = write(1, line, line.count)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// Runs `body` in a loop in each of `callers` tasks for `seconds`; prints operations a second and latencies.
    func measure(_ name: String, _ body: @escaping @Sendable (Int) async throws -> Void) async throws {
        let clock = ContinuousClock(), start = clock.now, end = start + .seconds(seconds)
        let spans = try await withThrowingTaskGroup(of: [Duration].self) { group in
            for caller in 0..<callers {
                group.addTask {
                    var spans: [Duration] = []
                    while clock.now < end {
                        let before = clock.now
                        try await body(caller)
                        spans.append(clock.now - before)
                    }
                    return spans
                }
            }
            return try await group.reduce(into: [Duration]()) { $0 += $1 }.sorted()
        }
        let rate = Int(Double(spans.count) / ((clock.now - start) / .seconds(1)))
        func at(_ share: Double) -> String {
            let span = spans[min(spans.count - 1, Int(Double(spans.count) * share))]
            return "\(Double(Int(span / .milliseconds(1) * 100)) / 100) ms"
        }
        print("\(name): \(rate)/s with \(callers) callers; p50 \(at(0.5)), p99 \(at(0.99)), worst \(at(1))")
    }
}
