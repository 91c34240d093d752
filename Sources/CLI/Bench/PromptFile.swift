import JSON

/// Prompts of a file: one JSON object a line (`{"prompt": …, "output_tokens": …}`, as vLLM's custom dataset) or ShareGPT's array of
/// conversations.
package enum PromptFile {
    /// - Parameters:
    ///   - outputLength: replaces what the file says; where neither says, 256.
    ///   - bytes: the whole file.
    /// - Throws: `BenchError` naming line or entry.
    package static func prompts(_ bytes: [UInt8], outputLength: Int?) throws(BenchError) -> [BenchPrompt] {
        let start = bytes.first { !isBlank($0) }
        let prompts = start == UInt8(ascii: "[")
            ? try conversations(bytes, outputLength: outputLength) : try lines(bytes, outputLength: outputLength)
        guard !prompts.isEmpty else { throw BenchError("it holds no prompts") }
        return prompts
    }

    /// `count` of them in an order drawn by the seed; all again where there are too few.
    package static func choose(_ count: Int, of prompts: [BenchPrompt], seed: UInt64, shuffles: Bool) -> [BenchPrompt] {
        guard !prompts.isEmpty else { return [] }
        var generator = SeededGenerator(seed: seed), chosen: [BenchPrompt] = []
        while chosen.count < count { chosen += shuffles ? prompts.shuffled(using: &generator) : prompts }
        return Array(chosen.prefix(count))
    }

    private static let defaultOutputLength = 256
    /// Bytes of text per token, where no tokenizer is at hand; typical of English.
    private static let bytesPerToken = 4

    private static func lines(_ bytes: [UInt8], outputLength: Int?) throws(BenchError) -> [BenchPrompt] {
        var prompts: [BenchPrompt] = []
        for (index, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() where !line.allSatisfy(isBlank) {
            let json: JSONValue
            do {
                json = try JSONValue(parsing: Array(line))
            } catch {
                throw BenchError("line \(index + 1) is not JSON: \(error)")
            }
            guard let text = json["prompt"]?.string else { throw BenchError("line \(index + 1) has no text named prompt") }
            let own = json["output_tokens"]?.int ?? json["output_len"]?.int ?? json["max_tokens"]?.int
            if let own, own < 1 { throw BenchError("line \(index + 1) asks for \(own) output tokens, but at least 1 is needed") }
            prompts.append(prompt(text, outputLength ?? own ?? defaultOutputLength))
        }
        return prompts
    }

    /// The first question of each conversation that has an answer; its length in tokens is estimated.
    private static func conversations(_ bytes: [UInt8], outputLength: Int?) throws(BenchError) -> [BenchPrompt] {
        let json: JSONValue
        do {
            json = try JSONValue(parsing: bytes)
        } catch {
            throw BenchError("it is not JSON: \(error)")
        }
        var prompts: [BenchPrompt] = []
        for entry in json.array ?? [] {
            guard let turns = entry["conversations"]?.array ?? entry["conversation"]?.array, turns.count >= 2,
                let question = turns[0]["value"]?.string, let answer = turns[1]["value"]?.string, !question.isEmpty
            else { continue }
            prompts.append(prompt(question, outputLength ?? max(4, answer.utf8.count / bytesPerToken)))
        }
        if prompts.isEmpty { throw BenchError("none of its \(json.array?.count ?? 0) entries has conversations with a question and an answer") }
        return prompts
    }

    private static func prompt(_ text: String, _ outputTokens: Int) -> BenchPrompt {
        BenchPrompt(content: .text(text), inputTokens: max(1, text.utf8.count / bytesPerToken), outputTokens: outputTokens)
    }

    private static func isBlank(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0A, 0x0D].contains(byte) }
}
