/// One request of a benchmark.
package struct BenchPrompt: Sendable, Equatable {
    package enum Content: Sendable, Equatable {
        case text(String)
        case tokens([Int32])
    }

    package var content: Content
    /// Tokens where known; of texts an estimate, until the server's count replaces it.
    package var inputTokens: Int
    package var outputTokens: Int

    package init(content: Content, inputTokens: Int, outputTokens: Int) {
        self.content = content
        self.inputTokens = inputTokens
        self.outputTokens = outputTokens
    }
}

/// Random prompts of given lengths.
package struct RandomPrompts: Sendable {
    /// Tokens of a prompt besides the prefix.
    package var inputLength = 1024
    package var outputLength = 128
    /// Lengths are drawn from length·(1 - ratio) to length·(1 + ratio); [0, 1).
    package var rangeRatio = 0.0
    /// Tokens that begin every prompt.
    package var prefixLength = 0
    /// Ids to draw from.
    package var vocabulary: Range<Int32> = 100..<1000
    /// Words instead of ids, about one token each.
    package var usesWords = false

    package init() {}

    /// Short English words that most vocabularies hold whole, with the blank before them.
    static let words = """
        the of and to in is you that it he was for on are as with his they at be this have from or one had by word but not what all were we \
        when your can said there use an each which she do how their if will up other about out many then them these so some her would make \
        like him into time has look two more write go see number no way could people my than first water been call who oil its now find \
        long down day did get come made may part
        """.split(separator: " ").map(String.init)

    /// - Returns: the same prompts for the same seed.
    package func make(_ count: Int, seed: UInt64) -> [BenchPrompt] {
        var generator = SeededGenerator(seed: seed)
        let prefix = ids(prefixLength, &generator)
        return (0..<max(0, count)).map { _ in
            let input = Int.random(in: range(inputLength, atLeast: prefix.isEmpty ? 1 : 0), using: &generator)
            let output = Int.random(in: range(outputLength, atLeast: 1), using: &generator)
            let ids = prefix + ids(input, &generator)
            guard usesWords else { return BenchPrompt(content: .tokens(ids), inputTokens: ids.count, outputTokens: output) }
            let text = ids.map { Self.words[Int($0) % Self.words.count] }.joined(separator: " ")
            return BenchPrompt(content: .text(text), inputTokens: ids.count, outputTokens: output)
        }
    }

    private func ids(_ count: Int, _ generator: inout SeededGenerator) -> [Int32] {
        (0..<max(0, count)).map { _ in Int32.random(in: vocabulary, using: &generator) }
    }

    private func range(_ length: Int, atLeast least: Int) -> ClosedRange<Int> {
        let low = max(least, Int((Double(length) * (1 - rangeRatio)).rounded(.down)))
        return low...max(low, Int((Double(length) * (1 + rangeRatio)).rounded(.up)))
    }
}
