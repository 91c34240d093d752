package import JSON
#if canImport(Glibc)
import Glibc
#endif

/// Checks this room against renderings of the reference implementation (Jinja2 3.1.6 set up as transformers does).
///
/// A folder holds `language.json` (small programs with their context and result), `conversations.json` (requests), `templates/*.jinja`, and
/// `rendered/<template>.json` with one result per request: `text`, or its `bytes` and `digest` (FNV-1a, 64 bits, hexadecimal), or `error`
/// (`raised`, `runtime`, `syntax`) with `message`. `lenient_text` is another text that is accepted.
package enum TemplateGolden {
    package struct Report: Sendable {
        package var programs = 0, renderings = 0, templates = 0
        /// One line each.
        package var failures: [String] = []

        package init() {}
    }

    /// Saturday 2025-07-26 15:04:05, when the reference was made.
    package static let clock = TemplateClock.fixed(TemplateTime(year: 2025, month: 7, day: 26, hour: 15, minute: 4, second: 5))
    private static let specialTokens = ["bos_token": "<|bos|>", "eos_token": "<|eos|>", "unk_token": "<|unk|>", "pad_token": "<|pad|>"]

    /// - Parameter skipping: names of templates to leave out.
    package static func verify(_ folder: String, skipping: Set<String> = []) throws -> Report {
        var report = Report()
        if let language = try json("\(folder)/language.json") {
            for test in language["tests"]?.array ?? [] {
                report.programs += 1
                let name = test["name"]?.string ?? "?"
                let outcome = render(test["template"]?.string ?? "", test["context"]?.object ?? JSONObject())
                if let failure = compare(outcome, test) { report.failures.append("program \(name): \(failure)") }
            }
        }
        let conversations = try json("\(folder)/conversations.json")?.array ?? []
        for name in files(in: "\(folder)/templates").sorted() where name.hasSuffix(".jinja") {
            let stem = String(name.dropLast(6))
            guard !skipping.contains(stem), let source = read("\(folder)/templates/\(name)"),
                let results = try json("\(folder)/rendered/\(stem).json")?["results"]?.array
            else { continue }
            report.templates += 1
            let text = String(decoding: source, as: UTF8.self)
            var expected: [String: JSONValue] = [:]
            for result in results { expected[result["conversation"]?.string ?? ""] = result }
            for conversation in conversations {
                let title = conversation["name"]?.string ?? ""
                guard let wanted = expected[title] else { continue }
                report.renderings += 1
                if let failure = compare(render(text, context(of: conversation)), wanted) {
                    report.failures.append("\(stem), \(title): \(failure)")
                }
            }
        }
        return report
    }

    /// The variables a request gives to a template.
    package static func context(of conversation: JSONValue) -> JSONObject {
        var context = JSONObject()
        for name in ["messages", "tools", "documents"] { context[name] = conversation[name] ?? .null }
        context["add_generation_prompt"] = conversation["add_generation_prompt"] ?? false
        for (name, token) in specialTokens.sorted(by: { $0.key < $1.key }) { context[name] = .string(token) }
        for member in conversation["kwargs"]?.object?.members ?? [] { context[member.key] = member.value }
        return context
    }

    private static func render(_ source: String, _ context: JSONObject) -> Result<String, TemplateError> {
        do throws(TemplateError) {
            return .success(try Template(source).render(context: context, clock: clock))
        } catch {
            return .failure(error)
        }
    }

    /// What is wrong; nil where the outcome is as expected. Messages count only where the template's author wrote them.
    private static func compare(_ outcome: Result<String, TemplateError>, _ wanted: JSONValue) -> String? {
        switch outcome {
        case .success(let text):
            if let expected = wanted["text"]?.string { return sameBytes(text, expected) ? nil : difference(text, expected) }
            if let digest = wanted["digest"]?.string {
                return digest == self.digest(text) && wanted["bytes"]?.int == text.utf8.count ? nil : "other text than the reference's"
            }
            if let lenient = wanted["lenient_text"]?.string, sameBytes(text, lenient) { return nil }
            return "rendered, expected the error \(wanted["message"]?.string ?? "?")"
        case .failure(let error):
            guard let kind = wanted["error"]?.string else { return "\(error)" }
            let isRaised = error.kind == .raised
            guard (kind == "raised") == isRaised else { return "\(error.kind.rawValue) error \(error.message), expected \(kind)" }
            return !isRaised || sameBytes(error.message, wanted["message"]?.string ?? "") ? nil : "raised \(error.message)"
        }
    }

    private static func sameBytes(_ a: String, _ b: String) -> Bool { a.utf8.elementsEqual(b.utf8) }

    private static func difference(_ text: String, _ expected: String) -> String {
        let common = zip(text.utf8, expected.utf8).prefix { $0 == $1 }.count
        func excerpt(_ text: String) -> String { JSONValue.string(String(decoding: text.utf8.dropFirst(max(0, common - 20)).prefix(60), as: UTF8.self)).text }
        return "differs at byte \(common): \(excerpt(text)), expected \(excerpt(expected))"
    }

    package static func digest(_ text: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    // MARK: Files

    private static func json(_ path: String) throws -> JSONValue? { try read(path).map { try JSONValue(parsing: $0) } }

    private static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "rb") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = [], buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { return bytes }
            bytes += buffer[..<count]
        }
    }

    private static func files(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        return names
    }
}
