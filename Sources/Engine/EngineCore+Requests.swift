internal import Prometheus
internal import Sampling
internal import Step

extension EngineCore {
    /// Takes a submission into the scheduler.
    mutating func admit(_ submission: Inbox.Submission) {
        let request = submission.request
        let parameters = request.sampling
        let plan = SamplingPlan(parameters)
        var stop = StopRules(maxLength: configuration.maxModelLength)
        stop.eos = parameters.ignoreEOS ? [] : parameters.eosTokenIDs
        stop.stopIDs = parameters.stopTokenIDs
        stop.minTokens = parameters.minTokens
        stop.maxTokens = parameters.maxTokens ?? .max

        var record = RequestRecord(
            id: submission.id, stream: submission.stream, plan: plan, arrival: submission.arrival, seed: submission.seed,
            makeConstraint: request.makeConstraint, promptCount: request.promptTokenIDs.count,
            knownCount: request.promptTokenIDs.count + request.outputTokensSoFar.count, maxTokens: parameters.maxTokens, slots: [],
            choices: parameters.n)
        if let last = request.outputTokensSoFar.last,
            let end = stop.end(after: last, output: request.outputTokensSoFar.count, length: record.knownCount)
        {
            finishAtOnce(record, end, output: request.outputTokensSoFar.count)
            return
        }
        record.adapter = request.loraID
        adapterUse.begin(request.loraID)
        let index = store(record)

        let root = BlockHash.root(of: request, scheduler.cache.spec, key: hashKey)
        let blocks = SequenceBlocks(groupCount: scheduler.cache.spec.groups.count, hashes: submission.hashes, root: root)
        var new = NewSequence(prompt: request.promptTokenIDs, blocks: blocks, stop: stop, order: nextOrder)
        nextOrder += 1
        new.outputSoFar = request.outputTokensSoFar
        new.adapter = request.loraID ?? 0
        new.priority = configuration.scheduler.policy == .priority ? request.priority : 0
        new.moreChoices = parameters.n - 1
        new.wantsPromptLogprobs = parameters.promptLogprobs != nil
        new.pooledRow = request.pooling.map { $0 == .tokens ? .everyToken : runner.pooled?.pooling == .first ? .first : .last }
        new.secondSegment = request.secondSegment
        let slot = scheduler.submit(new)

        var choice = ChoiceRecord(request: index, seed: submission.seed)
        choice.seen = plan.seen(prompt: request.promptTokenIDs, output: request.outputTokensSoFar)
        choice.carriedTokens = request.outputTokensSoFar.count
        choice.constraint = request.makeConstraint?()
        for token in request.outputTokensSoFar { _ = choice.constraint?.accept(token) }
        register(choice, slot)
    }

    /// The tokens carried over already end the request.
    private mutating func finishAtOnce(_ record: RequestRecord, _ end: SequenceEnd, output: Int) {
        releaseQueuePlace(record)
        let start = RequestStart(
            cachedPromptTokens: 0, promptLogprobs: [], seed: record.seed,
            queueSeconds: MonotonicTime.now.seconds(since: record.arrival), prefillSeconds: 0)
        deliver(record.stream, .started(start))
        deliver(record.stream, .finished(finish(choice: 0, end, output: output, preemptions: 0)))
        deliver(record.stream, .ended)
        status.update { count(end, &$0) }
    }

    private mutating func store(_ record: RequestRecord) -> Int {
        let index: Int
        if let vacant = vacantRequests.popLast() {
            requests[vacant] = record
            index = vacant
        } else {
            requests.append(record)
            index = requests.count - 1
        }
        requestIndex[record.id] = index
        return index
    }

    mutating func register(_ choice: ChoiceRecord, _ slot: Int32) {
        while choices.count <= Int(slot) { choices.append(ChoiceRecord()) }
        choices[Int(slot)] = choice
        requests[choice.request]?.slots.append(slot)
    }

    mutating func deliver(_ stream: OutputStream, _ entry: OutputEntry) {
        deliveries.append(Delivery(stream: stream, entry: entry))
    }

    func releaseQueuePlace(_ record: RequestRecord) {
        inbox.withLock { inbox in
            inbox.waitingRequests -= 1
            inbox.waitingTokens -= record.knownCount
        }
    }

    /// Ends all open choices of a request. Not between `plan` and `commit`.
    mutating func abort(_ id: RequestID) {
        guard let index = requestIndex[id], let record = requests[index] else { return }
        for slot in record.slots {
            let sequence = scheduler.sequences[Int(slot)]
            deliver(
                record.stream,
                .finished(
                    ChoiceFinish(
                        choice: Int(choices[Int(slot)].choice), reason: .abort, stopTokenID: nil, limit: nil,
                        outputTokens: sequence.outputCount, preemptions: sequence.preemptions)))
            for choice in sequence.pendingChoices {
                deliver(
                    record.stream,
                    .finished(
                        ChoiceFinish(choice: Int(choice), reason: .abort, stopTokenID: nil, limit: nil, outputTokens: 0, preemptions: 0)))
            }
        }
        deliver(record.stream, .ended)
        status.update { $0.finishedAbort += 1 }
        retire(index, record)
    }

    /// Ends a request with an error. Not between `plan` and `commit`.
    mutating func fail(_ index: Int, _ error: EngineError) {
        guard let record = requests[index] else { return }
        deliver(record.stream, .failed(error))
        status.update { snapshot in
            snapshot.finishedError += 1
            if case .corruptLogits = error { snapshot.corruptedRequests += 1 }
        }
        retire(index, record)
    }

    private mutating func retire(_ index: Int, _ record: RequestRecord) {
        for slot in record.slots {
            scheduler.remove(slot)
            choices[Int(slot)] = ChoiceRecord()
        }
        if record.startedAt == nil { releaseQueuePlace(record) }
        requests[index] = nil
        vacantRequests.append(index)
        requestIndex[record.id] = nil
        endUse(of: record.adapter)
    }

    /// Ends one choice by itself, and the request with the last of them.
    mutating func finish(_ slot: Int32, _ end: SequenceEnd, at now: MonotonicTime, _ snapshot: inout EngineSnapshot) {
        let index = choices[Int(slot)].request
        guard var record = requests[index] else { return }
        let choice = choices[Int(slot)]
        let output = scheduler.sequences[Int(slot)].outputCount
        let preemptions = scheduler.sequences[Int(slot)].preemptions
        deliver(record.stream, .finished(finish(choice: Int(choice.choice), end, output: output, preemptions: preemptions)))
        // Only a prompt that outgrew the cache ends before its forks exist.
        for pending in scheduler.sequences[Int(slot)].pendingChoices {
            deliver(record.stream, .finished(finish(choice: Int(pending), end, output: 0, preemptions: 0)))
        }
        record.preemptions += preemptions
        record.slots.removeAll { $0 == slot }
        scheduler.remove(slot)
        choices[Int(slot)] = ChoiceRecord()
        let generated = output - choice.carriedTokens
        snapshot.requestGenerationTokens.observe(Double(generated))
        if generated > 1, let first = record.firstTokenAt {
            snapshot.timePerOutputToken.observe(now.seconds(since: first) / Double(generated - 1))
        }
        count(end, &snapshot)
        requests[index] = record
        if !record.slots.isEmpty { return }

        deliver(record.stream, .ended)
        observeEnd(of: record, at: now, &snapshot)
        retire(index, record)
    }

    private func observeEnd(of record: RequestRecord, at now: MonotonicTime, _ snapshot: inout EngineSnapshot) {
        snapshot.endToEndLatency.observe(now.seconds(since: record.arrival))
        snapshot.requestPromptTokens.observe(Double(record.promptCount))
        snapshot.requestChoices.observe(Double(record.choices))
        snapshot.requestPreemptions.observe(Double(record.preemptions))
        snapshot.requestComputedPrefillTokens.observe(Double(record.promptCount - min(record.promptCount, record.cachedTokens)))
        if let maxTokens = record.maxTokens { snapshot.requestMaxTokens.observe(Double(maxTokens)) }
        if let started = record.startedAt { snapshot.inferenceTime.observe(now.seconds(since: started)) }
        if let first = record.firstTokenAt { snapshot.decodeTime.observe(now.seconds(since: first)) }
    }

    private func finish(choice: Int, _ end: SequenceEnd, output: Int, preemptions: Int) -> ChoiceFinish {
        var finish = ChoiceFinish(
            choice: choice, reason: .length, stopTokenID: nil, limit: nil, outputTokens: output, preemptions: preemptions)
        switch end {
        case .eos, .pooled: finish.reason = .stop
        case .stopToken(let token):
            finish.reason = .stop
            finish.stopTokenID = token
        case .maxTokens: finish.limit = .maxTokens
        case .modelLength: finish.limit = .modelLength(tokens: configuration.maxModelLength)
        case .cacheCapacity: finish.limit = .cacheCapacity(tokens: scheduler.cache.capacity.tokens)
        }
        return finish
    }

    private func count(_ end: SequenceEnd, _ snapshot: inout EngineSnapshot) {
        switch end {
        case .eos, .stopToken, .pooled: snapshot.finishedStop += 1
        case .maxTokens, .modelLength, .cacheCapacity: snapshot.finishedLength += 1
        }
    }
}
