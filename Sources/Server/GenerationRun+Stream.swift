internal import Engine
internal import HummingbirdCore
internal import JSON
internal import NIOCore
internal import OpenAI

extension GenerationRun {
    /// Writes the event stream. One task per prompt reads the engine, this one writes what has come together, one write each time.
    /// - Parameter onComplete: called when all is generated, before the last write: a client may hang up as soon as it has read that.
    mutating func stream(to output: inout any ResponseBodyWriter, onComplete: () -> Void) async throws {
        let mailbox = EventMailbox()
        let generations = generations
        let interval = options.keepAliveIntervalSeconds
        try await withThrowingDiscardingTaskGroup { group in
            for (prompt, generation) in generations.enumerated() {
                group.addTask { await mailbox.pump(generation, prompt: prompt) }
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
                try await write(from: mailbox, to: &output, onComplete: onComplete)
            } catch {
                cancel()
                group.cancelAll()
                throw error
            }
            group.cancelAll()
        }
        try await output.finish(nil)
    }

    private mutating func write(
        from mailbox: EventMailbox, to output: inout any ResponseBodyWriter, onComplete: () -> Void
    ) async throws {
        var writer = JSONWriter(capacity: 4096)
        var openPrompts = generations.count
        while openPrompts > 0 {
            var failure: EngineError?
            for item in await mailbox.take() {
                switch item {
                case .event(let prompt, let event): handle(event, prompt: prompt, into: &writer)
                case .failed(let error): failure = error
                case .ended: openPrompts -= 1
                case .silence: if writer.bytes.isEmpty { writer.keepAliveEvent() }
                }
            }
            flushReady(into: &writer)
            if isFinished { openPrompts = 0 }
            if let failure {
                cancel()
                writer.errorEvent(APIError(failure, answersFullQueueWith429: options.answersFullQueueWith429))
                openPrompts = 0
            }
            if openPrompts == 0 {
                if failure == nil, job.includeUsage { job.writer.usageChunk(usage, into: &writer) }
                writer.doneEvent()
                onComplete()
            }
            guard !writer.bytes.isEmpty else { continue }
            try await output.write(ByteBuffer(bytes: writer.bytes))
            writer.bytes.removeAll(keepingCapacity: true)
        }
    }

    private mutating func handle(_ event: GenerationEvent, prompt: Int, into writer: inout JSONWriter) {
        _ = apply(event, prompt: prompt)
        guard case .started = event else { return }
        let ids = job.style.returnTokenIDs ? job.prompts[prompt].tokenIDs : nil
        for index in prompt * job.n..<(prompt + 1) * job.n {
            job.writer.opening(
                of: index, promptTokenIDs: ids, promptText: job.promptText, usage: job.continuousUsage ? choiceUsage(index) : nil, into: &writer)
            choices[index].delta.promptTokenIDs = ids
        }
    }

    /// A chunk for each choice that has something to say and need not wait for more.
    private mutating func flushReady(into writer: inout JSONWriter) {
        for index in choices.indices where !choices[index].isClosed {
            guard !choices[index].isSilent,
                choices[index].hasEnded || !choices[index].hasSpoken || choices[index].pending >= job.streamInterval
            else { continue }
            choices[index].delta.usage = job.continuousUsage ? choiceUsage(index) : nil
            job.writer.chunk(choices[index].delta, into: &writer)
            choices[index].spoke()
        }
    }

    private func choiceUsage(_ index: Int) -> Usage {
        Usage(
            promptTokens: job.prompts[index / job.n].tokenIDs.count, completionTokens: choices[index].generated,
            cachedTokens: options.enablePromptTokensDetails ? cachedTokens : nil)
    }
}
