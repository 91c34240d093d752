package import Compute
import Glibc

/// A folder with reference outputs.
package struct GoldenFolder: Sendable {
    package enum Kind: Sendable { case model, tokenizer, templates }

    package var path: String
    package var kind: Kind
    package var name: String { path.split(separator: "/").last.map(String.init) ?? path }
}

/// What one folder showed, as a line of a table.
package struct GoldenResult: Sendable {
    package var name: String
    package var summary: String
    package var failures: [String]
    /// The model's class in the reference and the kind of checkpoint; nil for what is no model.
    package var model: ModelKind?

    package var passed: Bool { failures.isEmpty }

    package var line: String {
        let padding = String(repeating: " ", count: max(1, 34 - name.count))
        return "\(passed ? "ok  " : "FAIL") \(name)\(padding)\(summary)"
    }
}

/// Runs every kind of golden check.
package struct Verifier {
    let models: ModelVerifier

    package init(precision: ComputePrecision, threadCount: Int) {
        models = ModelVerifier(precision: precision, threadCount: threadCount)
    }

    package func verify(_ folder: GoldenFolder) -> GoldenResult {
        switch folder.kind {
        case .model: verifyModel(folder)
        case .tokenizer: GoldenText.tokenizer(folder)
        case .templates: GoldenText.templates(folder)
        }
    }

    private func verifyEmbedding(_ folder: GoldenFolder) -> GoldenResult {
        var report = EmbeddingVerifier(precision: models.precision, threadCount: models.threadCount).verify(folder: folder.path)
        let text = GoldenText.tokenizerCases(folder, gguf: nil)
        report.failures += text.failures
        let summary =
            "\(report.compared) rows, 1 - cosine \(Self.brief(max(0, 1 - report.cosine))), error \(Self.brief(report.error))"
            + (text.summary.isEmpty ? "" : ", \(text.summary)")
        return GoldenResult(name: folder.name, summary: summary, failures: report.failures, model: ModelKind(folder: folder.path))
    }

    private func verifyModel(_ folder: GoldenFolder) -> GoldenResult {
        if EmbeddingGolden.exists(in: folder.path) { return verifyEmbedding(folder) }
        let gguf = Self.entries(folder.path).first { $0.hasSuffix(".gguf") }
        var report = models.verify(model: gguf.map { "\(folder.path)/\($0)" } ?? folder.path, folder: folder.path)
        let text = GoldenText.tokenizerCases(folder, gguf: gguf.map { "\(folder.path)/\($0)" })
        report.failures += text.failures
        let summary =
            "logits \(Self.brief(report.logitsError)) of \(Self.brief(report.logitsTolerance)) std, logprobs \(Self.brief(report.logprobsError)), "
            + "\(report.greedyCompared) greedy tokens\(text.summary.isEmpty ? "" : ", \(text.summary)")"
            + (report.routerFlips > 0 ? ", \(report.routerFlips) prompt beyond it by near-tied routers" : "")
        return GoldenResult(name: folder.name, summary: summary, failures: report.failures, model: ModelKind(folder: folder.path))
    }

    /// All golden folders below these, in alphabetical order.
    package static func find(below roots: [String]) throws -> [GoldenFolder] {
        var found: [GoldenFolder] = []
        for root in roots {
            guard isFolder(root) else { throw GoldenError("\(root): there is no such folder") }
            var path = root
            while path.count > 1, path.hasSuffix("/") { path.removeLast() }
            search(path, depth: 0, into: &found)
        }
        return found
    }

    private static func search(_ path: String, depth: Int, into found: inout [GoldenFolder]) {
        let names = entries(path)
        if names.contains("golden.json") { return found.append(GoldenFolder(path: path, kind: .model)) }
        if names.contains("cases.json.gz") || names.contains("cases.json") { return found.append(GoldenFolder(path: path, kind: .tokenizer)) }
        if names.contains("conversations.json") || names.contains("language.json") {
            return found.append(GoldenFolder(path: path, kind: .templates))
        }
        guard depth < 8 else { return }
        for name in names where isFolder("\(path)/\(name)") { search("\(path)/\(name)", depth: depth + 1, into: &found) }
    }

    private static func entries(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    private static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Three significant digits.
    static func brief(_ value: Double) -> String {
        guard value > 0, value.isFinite else { return value == 0 ? "0" : "\(value)" }
        let scale = pow(10, 2 - floor(log10(value)))
        return "\((value * scale).rounded() / scale)"
    }
}
