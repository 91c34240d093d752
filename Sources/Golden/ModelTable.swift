import JSON
import Tensors

/// What a model fixture is: whose class, and in which form its weights are.
package struct ModelKind: Sendable {
    /// Columns of the table.
    package enum Form: String, Sendable, CaseIterable {
        case reference = "Reference"
        case awq = "AWQ", gptq = "GPTQ", fp8 = "FP8", integers = "INT4/INT8", mxfp4 = "MXFP4", gguf = "GGUF", lora = "LoRA"
        case tensorParallel = "TP"
    }

    /// `LlamaForCausalLM`.
    package let name: String
    package let form: Form

    /// nil where `golden.json` cannot be read.
    init?(folder: String) {
        guard let file = try? MappedFile(path: folder + "/golden.json") else { return nil }
        let json = withExtendedLifetime(file) {
            try? JSONValue(parsing: file.bytes.bindMemory(to: UInt8.self), options: .init(allowsNonFinite: true))
        }
        guard let json, let name = json["class"]?.string else { return nil }
        self.name = name
        switch (json["kind"]?.string, json["method"]?.string ?? "") {
        case ("gguf", _): form = .gguf
        case ("lora", _): form = .lora
        case (_, "awq"): form = .awq
        case (_, "gptq"): form = .gptq
        case (_, "mxfp4"): form = .mxfp4
        case (_, let method) where method.contains("fp8"): form = .fp8
        case (_, let method) where !method.isEmpty: form = .integers
        default: form = .reference
        }
    }
}

/// Results of a run as a table of Markdown: a row for each class of models, a column for each form of weights.
package struct ModelTable {
    private var cells: [String: [ModelKind.Form: (passed: Int, all: Int)]] = [:]

    package init(_ results: [GoldenResult]) {
        for result in results {
            guard let model = result.model else { continue }
            var cell = cells[model.name]?[model.form] ?? (0, 0)
            cell.all += 1
            cell.passed += result.passed ? 1 : 0
            cells[model.name, default: [:]][model.form] = cell
        }
    }

    /// A cell holds how many fixtures match, of how many where some do not.
    package var markdown: String {
        let forms = ModelKind.Form.allCases
        var lines = ["| model | " + forms.map(\.rawValue).joined(separator: " | ") + " |", "| --- |" + String(repeating: " --- |", count: forms.count)]
        for name in cells.keys.sorted() {
            let texts = forms.map { form in
                guard let cell = cells[name]?[form] else { return form == .tensorParallel ? "later" : "" }
                return cell.passed == cell.all ? "✓ \(cell.all)" : "✗ \(cell.passed) of \(cell.all)"
            }
            lines.append("| \(name) | " + texts.joined(separator: " | ") + " |")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
