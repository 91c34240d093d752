internal import Engine
internal import OpenAI
internal import Sampling

/// Going on where another run was broken off.
extension GenerationRun {
    /// What goes into the engine: each prompt with all its choices, or, where there is something to go on from, each open choice by itself with
    /// the tokens that it has. The engine's choice i draws with seed + i.
    static func submissions(_ job: GenerationJob) -> [(request: EngineRequest, span: Range<Int>)] {
        guard let progress = job.progress, progress.hasBegun else {
            return job.prompts.enumerated().map { ($1.request, $0 * job.n..<($0 + 1) * job.n) }
        }
        var submissions: [(request: EngineRequest, span: Range<Int>)] = []
        for (number, prompt) in job.prompts.enumerated() {
            for choice in 0..<job.n where !progress.finished.contains(number * job.n + choice) {
                let index = number * job.n + choice
                var request = prompt.request
                request.sampling.n = 1
                request.sampling.seed = request.sampling.seed.map { $0 &+ UInt64(choice) }
                request.outputTokensSoFar = progress.tokens(of: index)
                if progress.hasOpened(index, promptCount: job.prompts.count) { request.sampling.promptLogprobs = nil }
                submissions.append((request, index..<index + 1))
            }
        }
        return submissions
    }

    /// Brings choices to where they stood: their tokens are fed again, and the text that this gives is dropped, as it was given out.
    static func restore(_ choices: inout [ChoiceState], _ job: GenerationJob, _ progress: ReplyProgress) {
        guard progress.hasBegun else { return }
        for index in choices.indices where progress.hasOpened(index, promptCount: job.prompts.count) {
            let prompt = job.prompts[index / job.n]
            choices[index].echo(prompt, scored: nil)
            choices[index].restore(progress.tokens(of: index), hasEcho: prompt.echo != nil, isClosed: progress.finished.contains(index))
        }
    }

    /// Whether the choice's opening was given out by an earlier run.
    func hasOpened(_ index: Int) -> Bool {
        guard let progress = job.progress, progress.hasBegun else { return false }
        return progress.hasOpened(index, promptCount: job.prompts.count)
    }

    /// Whether a choice must wait for its first token: with several prompts that is the sign by which a later run knows that it was opened.
    func mustWait(_ index: Int) -> Bool {
        advance != nil && job.prompts.count > 1 && choices[index].generated == 0 && !choices[index].hasEnded
    }

    // MARK: Token by token

    mutating func update(_ index: Int, _ id: Int32) {
        if choices[index].hasEnded { return }
        choices[index].take([id], [])
        advance?.updates.append(
            TextUpdate(choice: index, text: choices[index].delta.text, token: id, isLast: choices[index].hasEnded))
        choices[index].spoke()
    }

    /// The choice's last text: what was held back.
    mutating func end(_ index: Int) {
        advance?.updates.append(TextUpdate(choice: index, text: choices[index].delta.text, token: nil, isLast: true))
        choices[index].spoke()
    }
}
