import Jobs

let worker = WorkerID("w1")
let endpoint = EndpointID("e")

func at(_ milliseconds: Int) -> Timestamp { Timestamp(milliseconds: milliseconds) }

func newJob(
    _ id: String = UUIDText.random(), _ place: EndpointID = endpoint, at time: Int = 1000, input: [UInt8] = Array("{}".utf8), webhook: String? = nil,
    lowPriority: Bool = false, timeToLive: Int = 1_000_000, retention: Int = 10_000
) -> NewJob {
    let policy = JobPolicy(executionTimeout: 60_000, timeToLive: timeToLive, lowPriority: lowPriority, retention: retention)
    return NewJob(
        job: Job(
            id: JobID(id), endpoint: place, origin: .run, policy: policy, webhook: webhook, prefix: [1, .max, 0x0102_0304_0506_0708],
            submittedAt: at(time)),
        payload: JobPayload(input: input, extras: Array(#"{"s3Config":{}}"#.utf8)))
}

extension JobStore {
    /// One step.
    func step(_ id: String, _ event: JobEvent, at time: Int = 2000) async throws -> JobVerdict {
        try await apply([JobStep(JobID(id), event, at: at(time))], .committed)[0]
    }

    func take(_ id: String, _ attempt: Int = 1, by other: WorkerID = worker, at time: Int = 2000) async throws -> JobVerdict {
        try await step(id, .take(worker: other, attempt: attempt), at: time)
    }

    func finish(_ id: String, _ output: String? = "1", attempt: Int = 1, by other: WorkerID = worker, at time: Int = 3000) async throws -> JobVerdict {
        try await step(id, .finish(worker: other, attempt: attempt, .completed(output: output.map { Array($0.utf8) })), at: time)
    }
}

func chunk(_ index: Int, _ text: String, resume: String? = nil) -> JobChunk {
    JobChunk(index: index, form: .text, body: Array(text.utf8), resume: resume.map { Array($0.utf8) })
}
