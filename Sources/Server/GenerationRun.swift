internal import Engine
internal import JSON
internal import OpenAI
internal import Sampling

/// A job in the engine: its generations and the state of each choice. Lives in the one task that writes the reply.
struct GenerationRun {
    let job: GenerationJob
    let text: any TextModel
    let options: ServerOptions
    let stats: ServerStats
    let generations: [any Generation]
    var choices: [ChoiceState]
    var cachedTokens: Int = 0
    var promptScores: [[ScoredToken]?]
    private var openByPrompt: [Int]

    /// Submits all prompts or, if one is refused, none.
    init(
        _ job: GenerationJob, model: ServedModel, options: ServerOptions, stats: ServerStats
    ) throws(APIError) {
        self.job = job
        self.options = options
        self.stats = stats
        text = model.text
        var generations: [any Generation] = []
        for prompt in job.prompts {
            do {
                generations.append(try model.generator.submit(prompt.request))
            } catch {
                for generation in generations { generation.cancel() }
                throw APIError(error, answersFullQueueWith429: options.answersFullQueueWith429)
            }
        }
        self.generations = generations
        choices = job.prompts.indices.flatMap { prompt in
            (0..<job.n).map { ChoiceState(index: prompt * job.n + $0, style: job.style, text: model.text, prompt: job.prompts[prompt]) }
        }
        promptScores = Array(repeating: nil, count: job.prompts.count)
        openByPrompt = Array(repeating: job.n, count: job.prompts.count)
    }

    var completionTokens: Int { choices.reduce(0) { $0 + $1.generated } }

    var usage: Usage {
        Usage(
            promptTokens: job.promptTokens, completionTokens: completionTokens,
            cachedTokens: options.enablePromptTokensDetails ? cachedTokens : nil)
    }

    /// Every choice has ended; the engine may not have noticed yet.
    var isFinished: Bool { openByPrompt.allSatisfy { $0 == 0 } }

    func cancel() { for generation in generations { generation.cancel() } }

    /// - Returns: the index of the choice that changed; nil when the whole prompt began.
    mutating func apply(_ event: GenerationEvent, prompt: Int) -> Int? {
        switch event {
        case .started(let cached, let promptLogprobs):
            cachedTokens += cached
            let source = job.prompts[prompt]
            if !promptLogprobs.isEmpty {
                promptScores[prompt] = text.scoredPrompt(
                    source.tokenIDs, promptLogprobs, alternatives: job.promptLogprobs ?? job.style.logprobs ?? 0, style: job.style)
            }
            let scored = job.scoresEcho ? echoScores(promptLogprobs, source) : nil
            for index in prompt * job.n..<(prompt + 1) * job.n { choices[index].echo(source, scored: scored) }
            return nil
        case .tokens(let choice, let ids, let logprobs):
            let index = prompt * job.n + choice
            let hadEnded = choices[index].hasEnded
            choices[index].take(ids, logprobs)
            if choices[index].hasEnded, !hadEnded { closed(prompt, byStopString: true) }
            return index
        case .pooled: return nil
        case .finished(let choice, let reason, let stopTokenID):
            let index = prompt * job.n + choice
            let hadEnded = choices[index].hasEnded
            choices[index].finish(reason, stopTokenID: stopTokenID)
            if !hadEnded { closed(prompt, byStopString: false) }
            return index
        }
    }

    private func echoScores(_ positions: [PositionLogprobs?], _ source: GenerationJob.Prompt) -> [ScoredToken]? {
        text.scoredPrompt(source.tokenIDs, positions, alternatives: job.style.logprobs ?? 0, style: job.style)
    }

    /// Once every choice of a prompt has ended, the engine need not go on (it may not know of stop strings).
    private mutating func closed(_ prompt: Int, byStopString: Bool) {
        openByPrompt[prompt] -= 1
        if openByPrompt[prompt] == 0, byStopString {
            stats.stopStringEndedRequest()
            generations[prompt].cancel()
        }
    }

    // MARK: Whole replies

    /// Reads every prompt to its end, then writes the reply.
    mutating func reply(into writer: inout JSONWriter) async throws(APIError) {
        for (prompt, generation) in generations.enumerated() {
            do throws(EngineError) {
                while openByPrompt[prompt] > 0, let event = try await generation.next() { _ = apply(event, prompt: prompt) }
            } catch {
                cancel()
                throw APIError(error, answersFullQueueWith429: options.answersFullQueueWith429)
            }
        }
        var results: [ChoiceResult] = []
        for (index, choice) in choices.enumerated() {
            let prompt = index / job.n
            results.append(
                ChoiceResult(
                    index: index, text: choice.delta.text, scored: choice.delta.scored, tokenIDs: choice.delta.tokenIDs,
                    end: choice.delta.end ?? ChoiceEnd(reason: "abort"),
                    promptTokenIDs: job.style.returnTokenIDs ? job.prompts[prompt].tokenIDs : nil,
                    promptLogprobs: job.promptLogprobs == nil ? nil : promptScores[prompt]))
        }
        job.writer.reply(results, usage: usage, promptText: job.promptText, into: &writer)
    }
}
