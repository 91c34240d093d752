#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif
internal import Sampling
internal import Step

/// What one draw came to.
struct DrawResult {
    /// -1 if it failed.
    var token: Int32 = -1
    var failure: SamplingFailure? = nil
    var logprobs: PositionLogprobs? = nil
}

/// Turns a step's rows of logits into tokens, rows spread over workers that each own a sampler.
struct SamplingStage {
    private let samplers: [Sampler]
    /// One per draw.
    var results: [DrawResult] = []
    /// The results' tokens.
    private(set) var tokens: [Int32] = []
    /// One per row; nil but for prompt logprobs.
    var promptLogprobs: [Result<PositionLogprobs, SamplingFailure>?] = []

    init(workers: Int?) {
        let processors = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        let count = max(1, workers ?? min(16, processors))
        samplers = (0..<count).map { _ in Sampler() }
    }

    /// - Parameters:
    ///   - logits: `[rows, stride]`, overwritten.
    ///   - vocabulary: columns that may be chosen.
    mutating func run(
        _ logits: UnsafeMutableBufferPointer<Float>, stride: Int, vocabulary: Int, scheduler: borrowing Scheduler,
        requests: borrowing [RequestRecord?], choices: borrowing [ChoiceRecord], runner: any StepRunner
    ) {
        let rows = scheduler.step.rows.count
        results.removeAll(keepingCapacity: true)
        tokens.removeAll(keepingCapacity: true)
        promptLogprobs.removeAll(keepingCapacity: true)
        for _ in 0..<scheduler.step.draws.count { results.append(DrawResult()) }
        for _ in 0..<rows { promptLogprobs.append(nil) }
        if rows == 0 { return }
        let workers = min(samplers.count, rows)
        scheduler.step.rows.withUnsafeBufferPointer { rowPlans in
            scheduler.step.draws.withUnsafeBufferPointer { draws in
                scheduler.sequences.withUnsafeBufferPointer { sequences in
                    requests.withUnsafeBufferPointer { requests in
                        choices.withUnsafeBufferPointer { choices in
                            results.withUnsafeMutableBufferPointer { results in
                                promptLogprobs.withUnsafeMutableBufferPointer { promptLogprobs in
                                    let job = SamplingJob(
                                        logits: logits, stride: stride, vocabulary: vocabulary, rows: rowPlans, draws: draws,
                                        sequences: sequences, requests: requests, choices: choices, results: results,
                                        promptLogprobs: promptLogprobs, samplers: samplers, workers: workers)
                                    if workers == 1 {
                                        job.work(0)
                                    } else {
                                        runner.parallelFor(workers) { job.work($0) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        for result in results { tokens.append(result.token) }
    }
}

/// A step's sampling as seen by the workers.
///
/// Sendable because worker `w` alone touches rows `w, w + workers, …` with their draws and results, and sampler `w`; the rest is read only
/// while `SamplingStage.run` waits.
private struct SamplingJob: @unchecked Sendable {
    let logits: UnsafeMutableBufferPointer<Float>
    let stride: Int
    let vocabulary: Int
    let rows: UnsafeBufferPointer<PlannedStep.Row>
    let draws: UnsafeBufferPointer<PlannedStep.Draw>
    let sequences: UnsafeBufferPointer<SequenceState>
    let requests: UnsafeBufferPointer<RequestRecord?>
    let choices: UnsafeBufferPointer<ChoiceRecord>
    let results: UnsafeMutableBufferPointer<DrawResult>
    let promptLogprobs: UnsafeMutableBufferPointer<Result<PositionLogprobs, SamplingFailure>?>
    let samplers: [Sampler]
    let workers: Int

    func work(_ worker: Int) {
        let sampler = samplers[worker]
        var row = worker
        while row < rows.count {
            work(row, sampler)
            row += workers
        }
    }

    private func work(_ row: Int, _ sampler: Sampler) {
        let plan = rows[row]
        if plan.isPooled { return }
        let values = UnsafeMutableBufferPointer(rebasing: logits[row * stride..<row * stride + vocabulary])
        guard let sampling = requests[choices[Int(plan.slot)].request]?.plan else { return }
        if plan.isPromptLogprobs {
            let next = sequences[Int(plan.slot)].tokens[Int(plan.position) + 1]
            do throws(SamplingFailure) {
                promptLogprobs[row] = .success(
                    try sampler.logprobs(
                        of: UnsafeBufferPointer(values), chosen: next, top: sampling.promptLogprobs ?? 0,
                        requested: sampling.logprobTokenIDs))
            } catch {
                promptLogprobs[row] = .failure(error)
            }
            return
        }
        for index in 0..<Int(plan.drawCount) {
            let draw = Int(plan.firstDraw) + index
            sample(draw, values, sampling, sampler, isLast: index + 1 == Int(plan.drawCount))
        }
    }

    private func sample(
        _ draw: Int, _ values: UnsafeMutableBufferPointer<Float>, _ plan: SamplingPlan, _ sampler: Sampler, isLast: Bool
    ) {
        let slot = Int(draws[draw].slot)
        // Sample i of n uses seed + i; the slot's own choice has that in its seed already.
        let offset = UInt64(truncatingIfNeeded: Int(draws[draw].choice) - Int(choices[slot].choice))
        do throws(SamplingFailure) {
            let sampled = try sequences[slot].withOutput { output throws(SamplingFailure) in
                let row = isLast ? values : sampler.duplicate(values)
                return try sampler.sample(
                    row, plan: plan, seen: choices[slot].seen, output: output, seed: choices[slot].seed &+ offset,
                    constraint: choices[slot].constraint)
            }
            results[draw].token = sampled.token
            results[draw].logprobs = sampled.logprobs
        } catch {
            results[draw].failure = error
        }
    }
}
