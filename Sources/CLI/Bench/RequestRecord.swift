/// One request as it was seen from outside. Times in seconds on the run's clock.
package struct RequestRecord: Sendable, Equatable {
    /// Of the sending.
    package var start: Double
    /// From sending to the first chunk with content; 0 if there was none.
    package var timeToFirstToken = 0.0
    /// Between chunks with content.
    package var gaps: [Double] = []
    /// From sending to the last chunk of the answer.
    package var latency = 0.0
    package var promptTokens: Int
    package var outputTokens = 0
    package var text = ""
    /// Why it failed; nil if it did not.
    package var error: String?

    private var chunks = 0
    private var last = 0.0
    private var reportedTokens: Int?
    private var sawFinish = false

    package init(start: Double, promptTokens: Int) {
        self.start = start
        self.promptTokens = promptTokens
    }

    package mutating func take(_ chunk: ReplyChunk, at now: Double) {
        if let tokens = chunk.promptTokens { promptTokens = tokens }
        if let tokens = chunk.completionTokens { reportedTokens = tokens }
        guard chunk.hasChoice else { return }
        if chunk.isFinished { sawFinish = true }
        // An answer may end without any text: then its end is the first that is heard of it.
        if !chunk.text.isEmpty || chunk.isFinished && chunks == 0 {
            if chunks == 0 { timeToFirstToken = now - start } else { gaps.append(now - last) }
            chunks += 1
            last = now
            text += chunk.text
        }
        latency = now - start
    }

    /// The stream is over. Tokens are what the server counted, else the chunks.
    package mutating func finish() {
        outputTokens = reportedTokens ?? chunks
        if chunks == 0 {
            error = "the stream ended without an answer"
        } else if !sawFinish {
            error = "the stream broke off before the answer was finished"
        }
    }

    /// Seconds per token after the first; nil for answers of one token.
    package var timePerToken: Double? {
        outputTokens > 1 ? (latency - timeToFirstToken) / Double(outputTokens - 1) : nil
    }
}
