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
    /// The choices that each generation makes.
    let spans: [Range<Int>]
    var choices: [ChoiceState]
    var cachedTokens: Int = 0
    var promptScores: [[ScoredToken]?]
    /// What the next piece says, where somebody keeps account of it; nil otherwise.
    var advance: ReplyAdvance?
    /// Whether texts are asked for token by token, instead of events.
    let givesUpdates: Bool
    /// Choices of each generation that have not ended.
    private var open: [Int]

    /// Submits all prompts or, if one is refused, none.
    /// - Parameter keepsRecord: pieces come with what they say.
    init(
        _ job: GenerationJob, model: ServedModel, options: ServerOptions, stats: ServerStats, keepsRecord: Bool = false, givesUpdates: Bool = false
    ) throws(APIError) {
        self.job = job
        self.options = options
        self.stats = stats
        self.givesUpdates = givesUpdates
        advance = keepsRecord || givesUpdates ? ReplyAdvance() : nil
        text = model.text
        choices = job.prompts.indices.flatMap { prompt in
            (0..<job.n).map { ChoiceState(index: prompt * job.n + $0, style: job.style, text: model.text, prompt: job.prompts[prompt]) }
        }
        if let progress = job.progress { Self.restore(&choices, job, progress) }
        let submissions = Self.submissions(job)
        spans = submissions.map(\.span)
        open = spans.map(\.count)
        promptScores = Array(repeating: nil, count: job.prompts.count)
        var generations: [any Generation] = []
        for submission in submissions {
            do {
                generations.append(try model.generator.submit(submission.request))
            } catch {
                for generation in generations { generation.cancel() }
                throw APIError(error, answersFullQueueWith429: options.answersFullQueueWith429)
            }
        }
        self.generations = generations
    }

    var completionTokens: Int { choices.reduce(0) { $0 + $1.generated } }

    var usage: Usage {
        Usage(
            promptTokens: job.promptTokens, completionTokens: completionTokens,
            cachedTokens: options.enablePromptTokensDetails ? cachedTokens : nil)
    }

    /// Every choice has ended; the engine may not have noticed yet.
    var isFinished: Bool { open.allSatisfy { $0 == 0 } }

    func cancel() { for generation in generations { generation.cancel() } }

    /// - Parameter source: the generation that it came from.
    mutating func apply(_ event: GenerationEvent, source: Int) {
        let span = spans[source]
        switch event {
        case .started(let cached, let promptLogprobs):
            cachedTokens += cached
            let number = span.lowerBound / job.n
            let prompt = job.prompts[number]
            if !promptLogprobs.isEmpty {
                promptScores[number] = text.scoredPrompt(
                    prompt.tokenIDs, promptLogprobs, alternatives: job.promptLogprobs ?? job.style.logprobs ?? 0, style: job.style)
            }
            let scored = job.scoresEcho ? echoScores(promptLogprobs, prompt) : nil
            for index in span where !hasOpened(index) { choices[index].echo(prompt, scored: scored) }
        case .tokens(let choice, let ids, let logprobs):
            let index = span.lowerBound + choice
            let hadEnded = choices[index].hasEnded
            if givesUpdates {
                for id in ids { update(index, id) }
            } else {
                choices[index].take(ids, logprobs)
            }
            if choices[index].hasEnded, !hadEnded { closed(source, byStopString: true) }
        case .pooled: break
        case .finished(let choice, let reason, let stopTokenID):
            let index = span.lowerBound + choice
            let hadEnded = choices[index].hasEnded
            choices[index].finish(reason, stopTokenID: stopTokenID)
            if hadEnded { return }
            if givesUpdates { end(index) }
            closed(source, byStopString: false)
        }
    }

    private func echoScores(_ positions: [PositionLogprobs?], _ source: GenerationJob.Prompt) -> [ScoredToken]? {
        text.scoredPrompt(source.tokenIDs, positions, alternatives: job.style.logprobs ?? 0, style: job.style)
    }

    /// Once every choice of a generation has ended, the engine need not go on (it may not know of stop strings).
    private mutating func closed(_ source: Int, byStopString: Bool) {
        open[source] -= 1
        if open[source] == 0, byStopString {
            stats.stopStringEndedRequest()
            generations[source].cancel()
        }
    }

    // MARK: Whole replies

    /// Reads every prompt to its end, then writes the reply.
    mutating func reply(into writer: inout JSONWriter) async throws(APIError) {
        for (source, generation) in generations.enumerated() {
            do throws(EngineError) {
                while open[source] > 0, let event = try await generation.next() { apply(event, source: source) }
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
