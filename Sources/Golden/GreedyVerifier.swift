package import Compute
import JSON
import Models
import Tensors

/// Compares a real model's greedy continuations with reference tokens (`smollm2-greedy.json`): equal at every step up to the first whose
/// two best logits are nearly tied in the reference; up to there, and beyond while they stay equal.
package struct GreedyVerifier {
    package var precision: ComputePrecision
    package var threadCount: Int

    package init(precision: ComputePrecision, threadCount: Int) {
        self.precision = precision
        self.threadCount = threadCount
    }

    package struct Report: Sendable {
        package var prompts = 0
        package var tokensCompared = 0
        /// Prompts that left the reference at a near tie, with the step and its margin in units of the logits' standard deviation.
        package var nearTies: [(prompt: String, step: Int, margin: Double)] = []
        package var failures: [String] = []
    }

    /// - Parameters:
    ///   - file: prompts with `ids`, `greedy_ids`, `greedy_margin` and `logits_std`.
    ///   - model: a GGUF file or folder.
    package func verify(_ file: String, model: String) throws -> Report {
        let mapped = try MappedFile(path: file)
        let json = try withExtendedLifetime(mapped) { try JSONValue(parsing: mapped.bytes.bindMemory(to: UInt8.self)) }
        guard let prompts = json["prompts"]?.array else { throw GoldenError("\(file) has no 'prompts'") }
        var configuration = CPUBackend.Configuration(threadCount: threadCount, maxBatchedTokens: 2048)
        configuration.precision = precision
        let runner = try ModelSource(path: model).load(
            on: CPUBackend(configuration), options: ModelOptions(cacheByteCount: 1 << 30, maxBatchedTokens: 2048))
        let threshold = precision == .float32 ? 0.01 : 0.4
        var session = DirectSession(runner)
        var report = Report(prompts: prompts.count)
        var running = try prompts.map { prompt in try Continuation(prompt, in: file, &session) }
        // All prompts advance together: what a row computes does not depend on its neighbours, and a batch is quicker.
        while true {
            running.removeAll { $0.hasEnded }
            guard !running.isEmpty else { return report }
            var rows: [[Float]] = []
            // Prompts are of all lengths: a few at a time stay within a step.
            for begin in stride(from: 0, to: running.count, by: 10) {
                rows += try session.append(running[begin..<min(running.count, begin + 10)].map { ($0.sequence, $0.next) })
            }
            for index in running.indices { running[index].take(rows[index], threshold, &report) }
        }
    }

    /// One prompt's greedy continuation beside its reference.
    private struct Continuation {
        let name: String
        let sequence: Int
        let greedy: [Int32]
        let margins: [Double]
        let deviation: Double
        var next: [Int32]
        var step = 0
        private var hasLeft = false

        init(_ prompt: JSONValue, in file: String, _ session: inout DirectSession) throws {
            name = prompt["name"]?.string ?? "?"
            guard let ids = prompt["ids"]?.int32s, let greedy = prompt["greedy_ids"]?.int32s,
                let margins = prompt["greedy_margin"]?.array?.compactMap(\.double), let deviation = prompt["logits_std"]?.double,
                margins.count == greedy.count
            else { throw GoldenError("\(file): prompt '\(name)' is incomplete") }
            (self.greedy, self.margins, self.deviation) = (greedy, margins, deviation)
            sequence = session.open(promptLength: ids.count)
            next = ids
        }

        var hasEnded: Bool { hasLeft || step == greedy.count }

        mutating func take(_ logits: [Float], _ threshold: Double, _ report: inout Report) {
            let token = Int32(logits.indices.max { logits[$0] < logits[$1] } ?? 0)
            guard token == greedy[step] else {
                let margin = margins[step] / deviation
                if margin < threshold {
                    report.nearTies.append((name, step, margin))
                } else {
                    report.failures.append("\(name): token \(step) is \(token), expected \(greedy[step]) with a margin of \(margin) std")
                }
                hasLeft = true
                return
            }
            report.tokensCompared += 1
            next = [token]
            step += 1
        }
    }
}

extension JSONValue {
    var int32s: [Int32]? { array?.compactMap { $0.int.flatMap { Int32(exactly: $0) } } }
}
