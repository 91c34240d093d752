internal import Prometheus
internal import Sampling

extension EngineCore {
    /// Carries a committed step into records, figures and deliveries.
    mutating func settle(at now: MonotonicTime, _ snapshot: inout EngineSnapshot) {
        keepPromptLogprobs()
        for index in 0..<scheduler.committed.spawns.count {
            let spawn = scheduler.committed.spawns[index]
            let parent = choices[Int(spawn.parent)]
            guard let record = requests[parent.request] else { continue }
            var choice = ChoiceRecord(request: parent.request, choice: spawn.choice)
            choice.seed = record.seed &+ UInt64(truncatingIfNeeded: Int(spawn.choice))
            choice.seen = parent.seen
            choice.constraint = record.makeConstraint?()
            register(choice, spawn.slot)
        }
        for index in 0..<scheduler.committed.tokens.count {
            settle(scheduler.committed.tokens[index], at: now, &snapshot)
        }
    }

    private mutating func settle(_ token: CommittedStep.Token, at now: MonotonicTime, _ snapshot: inout EngineSnapshot) {
        let slot = Int(token.slot)
        let request = choices[slot].request
        guard request >= 0, let stream = requests[request]?.stream else { return }
        start(token.slot, at: now, &snapshot)
        var end = token.end
        if token.draw >= 0 {
            if requests[request]?.plan.usesSeenTokens == true { choices[slot].seen.noteOutput(token.token) }
            if let constraint = choices[slot].constraint, !(isEnder(token.end)) {
                if !constraint.accept(token.token) {
                    sampling.results[Int(token.draw)].failure = .constraintViolated
                    return
                }
                if constraint.isComplete, end == nil { end = .eos }
            }
            let logprobs = sampling.results[Int(token.draw)].logprobs
            deliver(stream, .token(choice: Int(choices[slot].choice), id: token.token, logprobs: logprobs))
            if let last = choices[slot].lastTokenAt {
                snapshot.interTokenLatency.observe(now.seconds(since: last))
            }
            choices[slot].lastTokenAt = now
            snapshot.generationTokens += 1
        }
        // Rows that are no numbers fail the request once the step is settled.
        if case .pooled = end, !deliverPooledRows(of: request, stream) { return }
        if let end { finish(token.slot, end, at: now, &snapshot) }
    }

    /// EOS and stop tokens are the grammar's end, not part of it.
    private func isEnder(_ end: SequenceEnd?) -> Bool {
        switch end {
        case .eos, .stopToken: true
        case .maxTokens, .modelLength, .cacheCapacity, .pooled, nil: false
        }
    }

    /// Tells the reader once that the prompt is done.
    mutating func start(_ slot: Int32, at now: MonotonicTime, _ snapshot: inout EngineSnapshot) {
        let index = choices[Int(slot)].request
        if requests[index]?.hasStarted != false { return }
        requests[index]?.hasStarted = true
        requests[index]?.firstTokenAt = now
        guard let record = requests[index] else { return }
        let started = record.startedAt ?? now
        snapshot.timeToFirstToken.observe(now.seconds(since: record.arrival))
        snapshot.prefillTime.observe(now.seconds(since: started))
        let wantsPromptLogprobs = record.plan.promptLogprobs != nil
        deliver(
            record.stream,
            .started(
                RequestStart(
                    cachedPromptTokens: min(record.cachedTokens, record.promptCount),
                    promptLogprobs: wantsPromptLogprobs ? [nil] + record.promptLogprobs : [], seed: record.seed,
                    queueSeconds: started.seconds(since: record.arrival), prefillSeconds: now.seconds(since: started))))
        requests[index]?.promptLogprobs = []
    }

    /// Keeps the step's rows of pooled texts.
    /// - Parameter values: what the runner gave, `[rows, width]`.
    mutating func keepPooledRows(_ values: UnsafeMutableBufferPointer<Float>, width: Int) {
        for (index, row) in scheduler.step.rows.enumerated() where row.isPooled {
            requests[choices[Int(row.slot)].request]?.pooledRows.append(contentsOf: values[index * width..<(index + 1) * width])
        }
    }

    /// - Returns: false, and nothing is delivered, where a row holds NaN or infinity.
    private mutating func deliverPooledRows(of request: Int, _ stream: OutputStream) -> Bool {
        guard let rows = requests[request]?.pooledRows, rows.allSatisfy(\.isFinite) else { return false }
        requests[request]?.pooledRows = []
        deliver(stream, .pooled(rows))
        return true
    }

    private mutating func keepPromptLogprobs() {
        for (index, row) in scheduler.step.rows.enumerated() where row.isPromptLogprobs {
            guard case .success(let logprobs) = sampling.promptLogprobs[index] else { continue }
            let request = choices[Int(row.slot)].request
            requests[request]?.promptLogprobs.append(logprobs)
        }
    }
}
