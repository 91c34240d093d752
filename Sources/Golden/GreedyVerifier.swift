package import Compute
import JSON
import Models
import Tensors

/// Compares a real model's greedy continuations with reference tokens (`smollm2-greedy.json`): equal at every step up to the first whose
/// two best logits are nearly tied in the reference.
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
        /// Prompts whose comparison ended at a near tie, with the step and its margin in units of the logits' standard deviation.
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
        var report = Report()
        for prompt in prompts {
            let name = prompt["name"]?.string ?? "?"
            guard let ids = prompt["ids"]?.int32s, let greedy = prompt["greedy_ids"]?.int32s,
                let margins = prompt["greedy_margin"]?.array?.compactMap(\.double), let deviation = prompt["logits_std"]?.double
            else { throw GoldenError("\(file): prompt '\(name)' is incomplete") }
            report.prompts += 1
            let sequence = session.open(promptLength: ids.count)
            var next = ids
            for (step, want) in greedy.enumerated() {
                if margins[step] < threshold * deviation {
                    report.nearTies.append((name, step, margins[step] / deviation))
                    break
                }
                let logits = try session.append([(sequence, next)])[0]
                let token = Int32(logits.indices.max { logits[$0] < logits[$1] } ?? 0)
                guard token == want else {
                    report.failures.append("\(name): token \(step) is \(token), expected \(want) with a margin of \(margins[step] / deviation) std")
                    break
                }
                report.tokensCompared += 1
                next = [token]
            }
        }
        return report
    }
}

extension JSONValue {
    var int32s: [Int32]? { array?.compactMap { $0.int.flatMap { Int32(exactly: $0) } } }
}
