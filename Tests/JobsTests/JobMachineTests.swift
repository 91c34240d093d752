import Jobs
import Testing

@Suite struct JobMachineTests {
    private let first = WorkerID("w1"), second = WorkerID("w2")

    private func job() -> Job {
        Job(
            id: JobID("j"), endpoint: EndpointID("e"), origin: .run,
            policy: JobPolicy(executionTimeout: 60_000, timeToLive: 600_000, retention: 30_000), submittedAt: Timestamp(milliseconds: 1000))
    }

    private func at(_ milliseconds: Int) -> Timestamp { Timestamp(milliseconds: milliseconds) }

    @Test func oneTakeWins() {
        var job = job()
        #expect(JobMachine.apply(.take(worker: first, attempt: 1), to: &job, at: at(1500)) == .applied(.init()))
        #expect(job.delayTime(at: at(9999)) == 500)
        #expect(JobMachine.apply(.take(worker: first, attempt: 1), to: &job, at: at(1600)) == .repeated)
        #expect(JobMachine.apply(.take(worker: second, attempt: 2), to: &job, at: at(1600)) == .refused)
        #expect(job.worker == first)
    }

    @Test func aLostWorkersJobGoesBackOnceAndThenFailsWithTheReason() {
        var job = job()
        _ = JobMachine.apply(.take(worker: first, attempt: 1), to: &job, at: at(1500))
        _ = JobMachine.apply(.lose(worker: first, attempt: 1, reason: "killed by signal 9", limit: 1), to: &job, at: at(2000))
        #expect(job.state == .inQueue && job.retries == 1 && job.queuedAt == at(2000))
        _ = JobMachine.apply(.take(worker: second, attempt: 2), to: &job, at: at(2500))
        guard case .applied(let change) = JobMachine.apply(.lose(worker: second, attempt: 2, reason: "killed by signal 9", limit: 1), to: &job, at: at(3000))
        else { Issue.record("not applied"); return }
        #expect(job.state == .failed)
        #expect(change.ended && change.lost)
        #expect(change.result?.error == "job timed out after 1 retries: killed by signal 9")
    }

    @Test func aWorkerThatLostItsJobIsFencedOff() {
        var job = job()
        _ = JobMachine.apply(.take(worker: first, attempt: 1), to: &job, at: at(1500))
        _ = JobMachine.apply(.lose(worker: first, attempt: 1, reason: "silent", limit: 3), to: &job, at: at(2000))
        // Given up, not yet replaced: its result counts.
        var early = job
        #expect(JobMachine.apply(.finish(worker: first, attempt: 1, .completed(output: nil)), to: &early, at: at(2100)) != .refused)
        #expect(early.state == .completed)
        // Replaced: nothing of it counts.
        _ = JobMachine.apply(.take(worker: second, attempt: 2), to: &job, at: at(2200))
        #expect(JobMachine.apply(.finish(worker: first, attempt: 1, .completed(output: nil)), to: &job, at: at(2300)) == .refused)
        let chunk = JobChunk(index: 0, form: .text, body: [65])
        #expect(JobMachine.apply(.append(worker: first, attempt: 1, chunks: [chunk], isPlaced: true), to: &job, at: at(2300)) == .refused)
        #expect(JobMachine.apply(.progress(worker: first, value: [48]), to: &job, at: at(2300)) == .refused)
    }

    @Test func placedChunksAreTakenOnce() {
        var job = job()
        _ = JobMachine.apply(.take(worker: first, attempt: 1), to: &job, at: at(1500))
        let chunks = (0..<3).map { JobChunk(index: $0, form: .text, body: [UInt8($0)]) }
        _ = JobMachine.apply(.append(worker: first, attempt: 1, chunks: Array(chunks[..<2]), isPlaced: true), to: &job, at: at(1600))
        guard case .applied(let change) = JobMachine.apply(.append(worker: first, attempt: 1, chunks: chunks, isPlaced: true), to: &job, at: at(1700))
        else { Issue.record("not applied"); return }
        #expect(change.chunks == [chunks[2]])
        #expect(JobMachine.apply(.append(worker: first, attempt: 1, chunks: chunks, isPlaced: true), to: &job, at: at(1700)) == .repeated)
        #expect(job.chunkCount == 3)
    }

    @Test func aSecondAttemptsRepeatsArePassedOver() {
        var job = job()
        _ = JobMachine.apply(.take(worker: first, attempt: 1), to: &job, at: at(1500))
        for byte in [UInt8(1), 2] {
            _ = JobMachine.apply(
                .append(worker: first, attempt: nil, chunks: [JobChunk(index: 0, form: .json, body: [byte])], isPlaced: false), to: &job, at: at(1600))
        }
        _ = JobMachine.apply(.lose(worker: first, attempt: 1, reason: "gone", limit: 1), to: &job, at: at(2000))
        _ = JobMachine.apply(.take(worker: second, attempt: 2), to: &job, at: at(2500))
        var stored: [UInt8] = []
        for byte in [UInt8(1), 2, 3] {
            let answer = JobMachine.apply(
                .append(worker: second, attempt: nil, chunks: [JobChunk(index: 0, form: .json, body: [byte])], isPlaced: false), to: &job, at: at(2600))
            guard case .applied(let change) = answer else { Issue.record("not applied"); return }
            stored += change.chunks.flatMap(\.body)
        }
        #expect(stored == [3])
        #expect(job.chunkCount == 3)
    }

    @Test func terminalStatesAreFinalButForRetry() {
        var job = job()
        _ = JobMachine.apply(.take(worker: first, attempt: 1), to: &job, at: at(1500))
        _ = JobMachine.apply(.finish(worker: first, attempt: nil, .failed(error: "no", output: nil)), to: &job, at: at(2000))
        #expect(job.expiresAt == at(32_000))
        #expect(JobMachine.apply(.cancel, to: &job, at: at(2100)) == .repeated)
        #expect(JobMachine.apply(.finish(worker: first, attempt: nil, .completed(output: nil)), to: &job, at: at(2100)) == .repeated)
        #expect(job.state == .failed)
        guard case .applied(let change) = JobMachine.apply(.retry, to: &job, at: at(3000)) else { Issue.record("not applied"); return }
        #expect(change.dropsChunksFrom == 0 && change.result == JobResult())
        #expect(job.state == .inQueue && job.expiresAt == at(603_000) && job.retries == 0)
        _ = JobMachine.apply(.take(worker: first, attempt: 2), to: &job, at: at(3500))
        _ = JobMachine.apply(.finish(worker: first, attempt: 2, .completed(output: nil)), to: &job, at: at(4000))
        #expect(JobMachine.apply(.retry, to: &job, at: at(4100)) == .refused)
    }
}
