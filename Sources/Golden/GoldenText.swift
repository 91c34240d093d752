/// Text side of the golden checks.
enum GoldenText {
    static func tokenizer(_ folder: GoldenFolder) -> GoldenResult { GoldenResult(name: folder.name, summary: "", failures: ["not yet"]) }
    static func templates(_ folder: GoldenFolder) -> GoldenResult { GoldenResult(name: folder.name, summary: "", failures: ["not yet"]) }
    static func tokenizerCases(_ folder: GoldenFolder, gguf: String?) -> (summary: String, failures: [String]) { ("", []) }
}
