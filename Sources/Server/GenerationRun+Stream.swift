internal import Engine
internal import JSON
internal import OpenAI

extension GenerationRun {
    /// Writes the event stream. One task per generation reads the engine, this one writes what has come together, one write each time.
    /// - Parameter onComplete: called when all is generated, before the last write: a client may hang up as soon as it has read that.
    /// - Throws: what the sink throws; `APIError` where the engine failed and the run keeps a record (elsewhere the stream says so itself).
    mutating func stream(to sink: inout some PieceSink, onComplete: () -> Void) async throws {
        let mailbox = EventMailbox()
        let generations = generations
        let interval = options.keepAliveIntervalSeconds
        try await withThrowingDiscardingTaskGroup { group in
            for (source, generation) in generations.enumerated() {
                group.addTask { await mailbox.pump(generation, source: source) }
            }
            if let interval {
                group.addTask {
                    while !Task.isCancelled {
                        try? await Task.sleep(for: .seconds(interval))
                        mailbox.put(.silence)
                    }
                }
            }
            do {
                try await write(from: mailbox, to: &sink, onComplete: onComplete)
            } catch {
                cancel()
                group.cancelAll()
                throw error
            }
            group.cancelAll()
        }
        try await sink.finish()
    }

    private mutating func write(from mailbox: EventMailbox, to sink: inout some PieceSink, onComplete: () -> Void) async throws {
        var writer = JSONWriter(capacity: 4096)
        var openSources = generations.count
        // An answer that was whole before: nothing is left to say.
        if openSources == 0 { onComplete() }
        while openSources > 0 {
            var failure: EngineError?
            for item in await mailbox.take() {
                switch item {
                case .event(let source, let event): handle(event, source: source, into: &writer)
                case .failed(let error): failure = error
                case .ended: openSources -= 1
                case .silence: if writer.bytes.isEmpty { writer.keepAliveEvent() }
                }
            }
            if !givesUpdates { flushReady(into: &writer) }
            if isFinished { openSources = 0 }
            if let failure {
                cancel()
                let error = APIError(failure, answersFullQueueWith429: options.answersFullQueueWith429)
                if advance != nil { throw error }
                job.writer.failure(error, into: &writer)
                openSources = 0
            }
            if openSources == 0 {
                if !givesUpdates {
                    if failure == nil, job.includeUsage { job.writer.usageChunk(usage, into: &writer) }
                    job.writer.done(into: &writer)
                }
                onComplete()
            }
            guard !writer.bytes.isEmpty || advance?.updates.isEmpty == false else { continue }
            try await sink.write(writer.bytes, advance)
            writer.bytes.removeAll(keepingCapacity: true)
            advance?.clear()
        }
    }

    private mutating func handle(_ event: GenerationEvent, source: Int, into writer: inout JSONWriter) {
        apply(event, source: source)
        guard case .started = event, !givesUpdates else { return }
        let span = spans[source]
        let ids = job.style.returnTokenIDs ? job.prompts[span.lowerBound / job.n].tokenIDs : nil
        for index in span where !hasOpened(index) {
            job.writer.opening(
                of: index, promptTokenIDs: ids, promptText: job.promptText, usage: job.continuousUsage ? choiceUsage(index) : nil, into: &writer)
            choices[index].delta.promptTokenIDs = ids
        }
    }

    /// A chunk for each choice that has something to say and need not wait for more.
    private mutating func flushReady(into writer: inout JSONWriter) {
        for index in choices.indices where !choices[index].isClosed {
            guard !choices[index].isSilent,
                choices[index].hasEnded || !choices[index].hasSpoken || choices[index].pending >= job.streamInterval, !mustWait(index)
            else { continue }
            choices[index].delta.usage = job.continuousUsage ? choiceUsage(index) : nil
            job.writer.chunk(choices[index].delta, into: &writer)
            if advance != nil { note(index) }
            choices[index].spoke()
        }
    }

    /// Puts what a choice's chunk says on record.
    private mutating func note(_ index: Int) {
        advance?.add(choices[index].untold, to: index)
        if choices[index].hasEnded { advance?.finished.append(index) }
    }

    private func choiceUsage(_ index: Int) -> Usage {
        Usage(
            promptTokens: job.prompts[index / job.n].tokenIDs.count, completionTokens: choices[index].generated,
            cachedTokens: options.enablePromptTokensDetails ? cachedTokens : nil)
    }
}
