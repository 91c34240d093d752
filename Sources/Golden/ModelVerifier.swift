package import Compute
import Glibc
import Models
import Weights

/// What a model fixture showed.
package struct ModelReport: Sendable {
    package var name: String
    /// Largest error of the last position's logits, in units of their standard deviation; and the allowed one.
    package var logitsError = 0.0
    package var logitsTolerance = 0.0
    package var logprobsError = 0.0
    package var greedyCompared = 0
    /// Prompts of a mixture of experts that a near-tied router broke.
    package var routerFlips = 0
    package var failures: [String] = []

    package var passed: Bool { failures.isEmpty }
}

/// Compares a model folder with the reference outputs beside it: logits, log-probabilities, greedy tokens; and our own promise that
/// batching and chunking change no bit.
package struct ModelVerifier {
    package var precision: ComputePrecision
    package var threadCount: Int
    /// Tokens of a chunk in the chunked-prefill check.
    package var chunk = 16

    package init(precision: ComputePrecision, threadCount: Int) {
        self.precision = precision
        self.threadCount = threadCount
    }

    /// - Parameter model: the folder, or the GGUF file in it.
    package func verify(model: String, folder: String) -> ModelReport {
        var report = ModelReport(name: folder.split(separator: "/").last.map(String.init) ?? folder)
        do {
            let golden = try ModelGolden(folder: folder)
            report.name = golden.name
            let source = try ModelSource(path: model)
            var configuration = CPUBackend.Configuration(threadCount: threadCount, maxBatchedTokens: 512)
            configuration.precision = precision
            var options = ModelOptions(cacheByteCount: 64 << 20, maxBatchedTokens: 512)
            options.blockSize = 16
            let runner = try source.load(on: CPUBackend(configuration), options: options)
            let isMixture = source.description.layers.contains { if case .mixture = $0.feedForward { true } else { false } }
            let tolerance = ModelTolerance(
                precision: precision, rounding: ModelTolerance.Rounding(golden, isGGUF: source.checkpoint.gguf != nil), isMixtureOfExperts: isMixture)
            var session = DirectSession(runner)
            if golden.baseLogits != nil {
                try verifyAdapter(folder + "/adapter", source, runner, golden, tolerance, &session, &report)
            } else {
                try compare(golden, tolerance, &session, &report)
            }
        } catch {
            report.failures.append("\(error)")
        }
        return report
    }

    func compare(
        _ golden: ModelGolden, _ tolerance: ModelTolerance, _ session: inout DirectSession, _ report: inout ModelReport
    ) throws {
        report.logitsTolerance = tolerance.logits
        var alone: [[Float]] = []
        for (index, prompt) in golden.prompts.enumerated() {
            let sequence = session.open(promptLength: prompt.count)
            let logits = try session.append([(sequence, prompt)])[0]
            alone.append(logits)
            guard compareLogits(logits, golden.lastLogits[index], golden, index, tolerance, &report) else { continue }
            try compareGreedy(logits, golden, index, sequence, tolerance, &session, &report)
        }
        if 2 * report.routerFlips >= golden.prompts.count {
            report.failures.append("\(report.routerFlips) of \(golden.prompts.count) prompts are beyond the tolerance: more than near-tied routers explain")
        }
        try compareLogprobs(golden, tolerance, &session, &report)
        try compareTogether(golden, alone, &session, &report)
        try compareChunked(golden, alone, &session, &report)
    }

    /// - Returns: whether what follows from the logits can be compared.
    @discardableResult
    func compareLogits(
        _ logits: [Float], _ want: [Float], _ golden: ModelGolden, _ index: Int, _ tolerance: ModelTolerance, _ report: inout ModelReport
    ) -> Bool {
        let deviation = golden.logitsStandardDeviation[index]
        guard logits.count == want.count else {
            report.failures.append("prompt \(index): \(logits.count) logits, expected \(want.count)")
            return false
        }
        let distance = { (other: [Float]) in zip(logits, other).reduce(0.0) { max($0, Double(($1.0 - $1.1).magnitude)) } }
        var error = distance(want)
        if precision == .auto, let rounded = golden.roundedLogits?[index], rounded.count == logits.count { error = min(error, distance(rounded)) }
        var allowed = tolerance.logits * deviation
        if precision == .auto, index < golden.bfloat16Error.count { allowed = max(allowed, 3 * golden.bfloat16Error[index]) }
        if error <= allowed {
            report.logitsError = max(report.logitsError, error / deviation)
            return true
        }
        // One rounding can turn a near-tied router, and the position with it: mixtures are judged by the median (fixtures' README).
        if tolerance.allowsRouterFlips, error.isFinite {
            report.routerFlips += 1
            return false
        }
        report.logitsError = max(report.logitsError, error / deviation)
        report.failures.append("prompt \(index): logits differ by \(error), allowed \(allowed)")
        return true
    }

    private func compareGreedy(
        _ first: [Float], _ golden: ModelGolden, _ index: Int, _ sequence: Int, _ tolerance: ModelTolerance,
        _ session: inout DirectSession, _ report: inout ModelReport
    ) throws {
        var candidates = [golden.greedy[index]]
        if let recomputed = golden.greedyRecomputed, index < recomputed.count { candidates.append(recomputed[index]) }
        var logits = first
        for step in golden.greedy[index].indices {
            if golden.greedyMargin[index][step] < tolerance.margin * golden.logitsStandardDeviation[index] { return }
            let token = Int32(logits.indices.max { logits[$0] < logits[$1] } ?? 0)
            candidates.removeAll { $0[step] != token }
            guard !candidates.isEmpty else {
                report.failures.append("prompt \(index): greedy token \(step) is \(token), expected \(golden.greedy[index][step])")
                return
            }
            report.greedyCompared += 1
            if step + 1 < golden.greedy[index].count { logits = try session.append([(sequence, [token])])[0] }
        }
    }

    private func compareLogprobs(
        _ golden: ModelGolden, _ tolerance: ModelTolerance, _ session: inout DirectSession, _ report: inout ModelReport
    ) throws {
        guard golden.prompts.count > 1 else { return }
        let prompt = golden.prompts[1]
        let rows = try session.append([(session.open(promptLength: prompt.count), prompt)], allRows: true)
        var errors: [Double] = []
        for (position, row) in rows.enumerated() {
            let shift = Double(row.max() ?? 0)
            let total = shift + log(row.reduce(0.0) { $0 + exp(Double($1) - shift) })
            var worst = 0.0
            for (token, logit) in row.enumerated() {
                worst = max(worst, abs(Double(logit) - total - Double(golden.allLogprobs[position * row.count + token])))
            }
            errors.append(worst)
        }
        // In 16 bits a near-tied router can break one position of a mixture of experts.
        let judged = tolerance.allowsRouterFlips ? errors.sorted()[errors.count / 2] : errors.max() ?? 0
        report.logprobsError = judged
        if let allowed = tolerance.logprobs, !(judged <= allowed) {
            report.failures.append("log-probabilities of prompt 1 differ by \(judged), allowed \(allowed)")
        }
    }

    private func compareTogether(
        _ golden: ModelGolden, _ alone: [[Float]], _ session: inout DirectSession, _ report: inout ModelReport
    ) throws {
        let together = try session.append(golden.prompts.map { (session.open(promptLength: $0.count), $0) })
        for index in golden.prompts.indices where together[index] != alone[index] {
            report.failures.append("prompt \(index): batched logits are not bit-identical to those alone")
        }
    }

    private func compareChunked(
        _ golden: ModelGolden, _ alone: [[Float]], _ session: inout DirectSession, _ report: inout ModelReport
    ) throws {
        for (index, prompt) in golden.prompts.enumerated() where prompt.count > chunk {
            let sequence = session.open(promptLength: prompt.count)
            var logits: [Float] = []
            for begin in stride(from: 0, to: prompt.count, by: chunk) {
                logits = try session.append([(sequence, Array(prompt[begin..<min(prompt.count, begin + chunk)]))])[0]
            }
            if logits != alone[index] {
                report.failures.append("prompt \(index): chunked prefill's logits are not bit-identical to those of one step")
            }
        }
    }
}
