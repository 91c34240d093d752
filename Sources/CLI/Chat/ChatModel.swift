package import Sampling

/// What a chat needs of a model.
package protocol ChatModel: Sendable {
    /// Tokens of prompt and answer together.
    var contextLength: Int { get }
    /// The prompt of a conversation with one more question.
    func prompt(_ history: ChatHistory, asking question: String) throws -> [Int32]
    /// Runs a prompt, handing out text as it comes. Stopped by Ctrl-C, it returns what there is.
    func answer(_ prompt: [Int32], _ sampling: SamplingParameters, onText: @escaping @Sendable (String) -> Void) async throws -> ChatAnswer
}

package struct ChatAnswer: Sendable {
    package var text: String
    package var promptTokens: Int
    package var outputTokens: Int
    package var millisecondsToFirstToken: Double
    package var tokensPerSecond: Double
    package var end: End

    package enum End: String, Sendable { case stop, length, stopped }

    package init(
        text: String, promptTokens: Int, outputTokens: Int, millisecondsToFirstToken: Double, tokensPerSecond: Double, end: End
    ) {
        self.text = text
        self.promptTokens = promptTokens
        self.outputTokens = outputTokens
        self.millisecondsToFirstToken = millisecondsToFirstToken
        self.tokensPerSecond = tokensPerSecond
        self.end = end
    }

    package var summary: String {
        let why = switch end {
        case .stop: "ended by the model"
        case .length: "cut at the limit of tokens"
        case .stopped: "stopped"
        }
        return "\(promptTokens) prompt tokens, first token after \(Fixed.text(millisecondsToFirstToken, 0)) ms, "
            + "\(outputTokens) tokens at \(Fixed.text(tokensPerSecond, 1)) tokens/s, \(why)"
    }
}
