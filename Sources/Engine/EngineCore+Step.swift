internal import Prometheus
internal import Sampling
internal import Step

extension EngineCore {
    /// Plans, runs, samples, commits and prepares the hand-off. A failure of the runner ends the step's requests only.
    mutating func runStep() {
        let begin = MonotonicTime.now
        status.stepBegins(at: begin)
        defer { status.stepEnded() }
        let isPlanned = scheduler.plan()
        let planned = MonotonicTime.now
        noteStarts(at: begin)
        guard isPlanned else {
            endExhausted(at: planned)
            publishGauges()
            return
        }
        let logits: UnsafeMutableBufferPointer<Float>
        do {
            logits = try runner.run(scheduler.step.batch)
        } catch {
            failStep(cause: String(describing: error))
            return
        }
        let computed = MonotonicTime.now
        let width = runner.rowWidth
        guard logits.count >= scheduler.step.rows.count * width else {
            failStep(cause: "\(logits.count) logits came back for \(scheduler.step.rows.count) rows of \(width)")
            return
        }
        if runner.pooled != nil { keepPooledRows(logits, width: width) }
        sampling.run(
            logits, stride: width, vocabulary: vocabularySize, scheduler: scheduler, requests: requests, choices: choices,
            runner: runner)
        let sampled = MonotonicTime.now
        scheduler.commit(sampling.tokens)
        status.update { snapshot in
            settle(at: sampled, &snapshot)
            snapshot.steps += 1
            snapshot.computedTokens += UInt64(scheduler.step.batch.tokenCount)
            snapshot.lastStepTokens = scheduler.step.batch.tokenCount
            snapshot.iterationTokens.observe(Double(scheduler.step.batch.tokenCount))
            let end = MonotonicTime.now
            snapshot.schedulingSeconds += planned.seconds(since: begin) + end.seconds(since: sampled)
            snapshot.modelSeconds += computed.seconds(since: planned)
            snapshot.samplingSeconds += sampled.seconds(since: computed)
            snapshot.lastStepSeconds = end.seconds(since: begin)
        }
        failBadDraws()
        endExhausted(at: sampled)
        publishGauges()
    }

    /// Requests that this step runs for the first time leave the waiting queue.
    private mutating func noteStarts(at now: MonotonicTime) {
        if scheduler.step.started.isEmpty { return }
        for slot in scheduler.step.started {
            let index = choices[Int(slot)].request
            requests[index]?.startedAt = now
            requests[index]?.cachedTokens = scheduler.sequences[Int(slot)].cachedTokens ?? 0
            guard let record = requests[index] else { continue }
            releaseQueuePlace(record)
            status.update { snapshot in
                snapshot.queueTime.observe(now.seconds(since: record.arrival))
                snapshot.promptTokens += UInt64(record.promptCount)
                snapshot.cachedPromptTokens += UInt64(min(record.promptCount, record.cachedTokens))
            }
        }
    }

    private mutating func failStep(cause: String) {
        status.update { $0.failedSteps += 1 }
        for entry in scheduler.step.entries where choices[Int(entry.slot)].request >= 0 {
            fail(choices[Int(entry.slot)].request, .stepFailed(cause: cause))
        }
        publishGauges()
    }

    /// Sequences that fill the whole cache end with what they have.
    private mutating func endExhausted(at now: MonotonicTime) {
        for slot in scheduler.step.exhausted where choices[Int(slot)].request >= 0 {
            status.update { snapshot in
                start(slot, at: now, &snapshot)
                finish(slot, .cacheCapacity, at: now, &snapshot)
            }
        }
    }

    /// Requests whose logits or constraint failed, once their siblings are committed.
    private mutating func failBadDraws() {
        for (index, draw) in scheduler.step.draws.enumerated() {
            guard let failure = sampling.results[index].failure else { continue }
            let request = choices[Int(draw.slot)].request
            if request < 0 { continue }
            let position = max(0, scheduler.sequences[Int(draw.slot)].outputCount)
            fail(request, Self.error(failure, choice: Int(draw.choice), position: position))
        }
        for token in scheduler.committed.tokens where token.end == .pooled && choices[Int(token.slot)].request >= 0 {
            fail(choices[Int(token.slot)].request, .corruptLogits(choice: 0, outputPosition: 0))
        }
        for (index, row) in scheduler.step.rows.enumerated() {
            guard case .failure(let failure) = sampling.promptLogprobs[index], choices[Int(row.slot)].request >= 0 else { continue }
            fail(choices[Int(row.slot)].request, Self.error(failure, choice: 0, position: 0))
        }
    }

    private static func error(_ failure: SamplingFailure, choice: Int, position: Int) -> EngineError {
        switch failure {
        case .corruptLogits: .corruptLogits(choice: choice, outputPosition: position)
        case .noTokenAllowed, .constraintViolated: .noTokenAllowed(choice: choice, outputPosition: position)
        }
    }
}
