import Compute
import Models
import Step

/// What an embedding fixture showed.
struct EmbeddingReport: Sendable {
    var name: String
    var compared = 0
    /// Smallest cosine of an embedding or a row of scores with its reference.
    var cosine = 1.0
    /// Largest error of an element, in units of the reference's standard deviation.
    var error = 0.0
    var failures: [String] = []
}

/// Compares the pooled outputs of a model folder with the reference beside it, and our promise that batching and chunking change no bit.
struct EmbeddingVerifier {
    let precision: ComputePrecision
    let threadCount: Int

    private var cosineTolerance: Double { precision == .float32 ? 1e-5 : 1e-2 }
    private var errorTolerance: Double { precision == .float32 ? 1e-3 : 0.12 }

    func verify(folder: String) -> EmbeddingReport {
        var report = EmbeddingReport(name: folder.split(separator: "/").last.map(String.init) ?? folder)
        do {
            let golden = try EmbeddingGolden(folder: folder)
            report.name = golden.name
            let source = try ModelSource(path: folder)
            guard let pooled = source.description.pooled else { throw GoldenError("the model was not taken for an embedding model") }
            var configuration = CPUBackend.Configuration(threadCount: threadCount, maxBatchedTokens: 512)
            configuration.precision = precision
            var options = ModelOptions(cacheByteCount: 64 << 20, maxBatchedTokens: 512)
            options.blockSize = 16
            let runner = try source.load(on: CPUBackend(configuration), options: options)
            let isWhole = runner.needsWholeSequences
            var session = DirectSession(runner)
            try compare(golden, pooled, isWhole: isWhole, &session, &report)
        } catch {
            report.failures.append("\(error)")
        }
        return report
    }

    private func compare(
        _ golden: EmbeddingGolden, _ pooled: PooledDescription, isWhole: Bool, _ session: inout DirectSession, _ report: inout EmbeddingReport
    ) throws {
        var alone: [[Float]] = []
        for (index, prompt) in golden.prompts.enumerated() {
            var row = try session.append([(session.open(promptLength: prompt.count, secondSegment: golden.secondSegments[index]), prompt)])[0]
            alone.append(row)
            compare(row, golden.raw[index], "prompt \(index)", &report)
            guard let final = golden.final else { continue }
            pooled.activation.apply(to: &row)
            compare(row, final[index], "prompt \(index), activated", &report)
        }
        if let hidden = golden.hidden, pooled.layers.isEmpty, golden.prompts.count > 1 {
            let prompt = golden.prompts[1]
            let rows = try session.append([(session.open(promptLength: prompt.count), prompt)], allRows: true)
            for (token, row) in rows.enumerated() where (token + 1) * row.count <= hidden.count {
                compare(row, Array(hidden[token * row.count..<(token + 1) * row.count]), "prompt 1, token \(token)", &report)
            }
        }
        let together = try session.append(
            golden.prompts.enumerated().map { (session.open(promptLength: $0.element.count, secondSegment: golden.secondSegments[$0.offset]), $0.element) })
        for index in golden.prompts.indices where together[index] != alone[index] {
            report.failures.append("prompt \(index): batched output is not bit-identical to that alone")
        }
        guard !isWhole else { return }
        for (index, prompt) in golden.prompts.enumerated() where prompt.count > 16 {
            let sequence = session.open(promptLength: prompt.count)
            var row: [Float] = []
            for begin in stride(from: 0, to: prompt.count, by: 16) {
                row = try session.append([(sequence, Array(prompt[begin..<min(prompt.count, begin + 16)]))])[0]
            }
            if row != alone[index] { report.failures.append("prompt \(index): chunked output is not bit-identical to that of one step") }
        }
    }

    private func compare(_ row: [Float], _ want: [Float], _ what: String, _ report: inout EmbeddingReport) {
        guard row.count == want.count else { return report.failures.append("\(what): \(row.count) elements, expected \(want.count)") }
        func sum(_ term: (Int) -> Double) -> Double { row.indices.reduce(0) { $0 + term($1) } }
        let dot = sum { Double(row[$0]) * Double(want[$0]) }
        let lengths = sum { Double(row[$0]) * Double(row[$0]) } * sum { Double(want[$0]) * Double(want[$0]) }
        let cosine = dot / lengths.squareRoot()
        let scale = (sum { Double(want[$0]) * Double(want[$0]) } / Double(max(1, want.count))).squareRoot()
        let error = row.indices.reduce(0.0) { max($0, Double((row[$1] - want[$1]).magnitude)) } / scale
        report.compared += 1
        report.cosine = min(report.cosine, cosine)
        report.error = max(report.error, error)
        if !(cosine > 1 - cosineTolerance) { report.failures.append("\(what): cosine \(cosine) with the reference") }
        if !(error <= errorTolerance) { report.failures.append("\(what): an element differs by \(error) of the reference's size") }
    }
}
