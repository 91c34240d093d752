/// Fits a conversation into the model's length by forgetting its oldest turns.
package struct ContextWindow: Sendable {
    /// Tokens of prompt and answer together.
    package var length: Int
    /// Tokens kept free for the answer.
    package var reserve: Int

    /// - Parameter maxTokens: most tokens of the answer, where limited.
    package init(length: Int, maxTokens: Int?) {
        self.length = length
        reserve = max(1, min(maxTokens ?? 512, length / 4))
    }

    package struct Fit: Sendable {
        package var history: ChatHistory
        package var prompt: [Int32]
        package var droppedTurns: Int
    }

    /// - Parameter encode: the prompt of a history, with the question in it.
    /// - Throws: `ChatError` if the question does not even fit alone; what `encode` throws.
    package func fit(_ history: ChatHistory, encode: (ChatHistory) throws -> [Int32]) throws -> Fit {
        var fit = Fit(history: history, prompt: try encode(history), droppedTurns: 0)
        while fit.prompt.count + reserve > length, fit.history.dropOldest() {
            fit.droppedTurns += 1
            fit.prompt = try encode(fit.history)
        }
        guard fit.prompt.count < length else {
            throw ChatError("the question has \(fit.prompt.count) tokens with all around it, but the context is \(length) tokens; shorten it")
        }
        return fit
    }
}
