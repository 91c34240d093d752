import JSON
import ModelText
import Templates
import Tensors
import Tokenizers
import Weights

/// The text side of the golden checks: tokenizer folders, template folders, and the texts beside model fixtures.
enum GoldenText {
    static func tokenizer(_ folder: GoldenFolder) -> GoldenResult {
        do {
            let report = try TokenizerGolden.verify(folder.path)
            let summary = report.counts.map { "\($0.kind) \($0.count.passed)/\($0.count.total)" }.joined(separator: ", ")
            let failures = report.isExact ? [] : report.mismatches.isEmpty ? ["no cases were found"] : report.mismatches
            return GoldenResult(name: folder.name, summary: summary, failures: failures)
        } catch {
            return GoldenResult(name: folder.name, summary: "", failures: ["\(error)"])
        }
    }

    static func templates(_ folder: GoldenFolder) -> GoldenResult {
        do {
            let report = try TemplateGolden.verify(folder.path)
            var failures = report.failures
            if report.programs + report.renderings == 0 { failures.append("no cases were found") }
            return GoldenResult(
                name: folder.name, summary: "\(report.renderings) renderings of \(report.templates) templates, \(report.programs) programs",
                failures: failures)
        } catch {
            return GoldenResult(name: folder.name, summary: "", failures: ["\(error)"])
        }
    }

    /// `tokenizer_cases` of a model fixture: texts to ids and back, and one rendering of the chat template.
    static func tokenizerCases(_ folder: GoldenFolder, gguf: String?) -> (summary: String, failures: [String]) {
        do {
            let golden = try MappedFile(path: folder.path + "/golden.json")
            let json = try golden.withUnsafeBytes { try JSONValue(parsing: $0.bindMemory(to: UInt8.self), options: .init(allowsNonFinite: true)) }
            guard let cases = json["tokenizer_cases"] else { return ("", []) }
            let text = try ModelText.load(folder: folder.path, checkpoint: try gguf.map { try Checkpoint.open($0) }, chatTemplate: nil)
            return try compare(text, cases)
        } catch {
            return ("", ["tokenizer: \(error)"])
        }
    }

    private static func compare(_ text: ModelText, _ cases: JSONValue) throws -> (summary: String, failures: [String]) {
        var failures: [String] = []
        let encodings = cases["encode"]?.array ?? []
        for entry in encodings {
            let source = entry["text"]?.string ?? ""
            let ids = try text.tokenizer.encode(source, addSpecialTokens: false)
            if ids != entry["ids"]?.int32s { failures.append("\(source.debugDescription) encodes to \(ids)") }
            if let special = entry["ids_with_special"]?.int32s {
                let found = try text.tokenizer.encode(source, addSpecialTokens: true)
                if found != special { failures.append("\(source.debugDescription) with special tokens encodes to \(found), expected \(special)") }
            }
            if let decoded = entry["decoded"]?.string {
                let found = text.tokenizer.decode(ids, skipSpecialTokens: true)
                if !found.hasSameBytes(as: decoded) { failures.append("\(source.debugDescription) decodes to \(found.debugDescription)") }
            }
        }
        if let chat = cases["chat"], let wanted = chat["text"]?.string, let source = text.chatTemplate {
            let specials = text.specialTokens
            let rendered = try ChatTemplate(source).render(
                messages: chat["messages"]?.array ?? [], addGenerationPrompt: chat["add_generation_prompt"]?.bool ?? true,
                bosToken: specials.bos, eosToken: specials.eos, unkToken: specials.unknown, padToken: specials.padding)
            if !rendered.hasSameBytes(as: wanted) { failures.append("the chat template renders \(rendered.debugDescription)") }
        }
        return ("\(encodings.count) texts", failures)
    }
}
