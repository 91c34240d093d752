import Engine
import JSON
import OpenAI
import Sampling
import Server

/// The model of this process as a chat's partner.
struct SessionChatModel: ChatModel {
    let session: ModelSession
    /// Variables for the chat template.
    let templateVariables: JSONObject

    var contextLength: Int { session.served.maxModelLength }

    func prompt(_ history: ChatHistory, asking question: String) throws -> [Int32] {
        var body = JSONObject()
        body["messages"] = .array(history.messages(asking: question))
        if !templateVariables.isEmpty { body["chat_template_kwargs"] = .object(templateVariables) }
        do {
            let conversation = try Conversation(Fields(body, path: "chat"))
            let text = session.served.text
            return try text.encode(try text.render(conversation), addSpecialTokens: conversation.addSpecialTokens)
        } catch {
            throw ChatError(error.message)
        }
    }

    func answer(_ prompt: [Int32], _ sampling: SamplingParameters, onText: @escaping @Sendable (String) -> Void) async throws -> ChatAnswer {
        let outcome = try await Interrupts.stopping { try await TextStream(session: session).run(prompt, sampling, onText: onText) }
        let end: ChatAnswer.End = switch outcome.reason {
        case .stop: .stop
        case .length: .length
        case .abort: .stopped
        }
        return ChatAnswer(
            text: outcome.text, promptTokens: outcome.promptTokens, outputTokens: outcome.outputTokens,
            millisecondsToFirstToken: outcome.timeToFirstToken / .milliseconds(1), tokensPerSecond: outcome.tokensPerSecond, end: end)
    }
}
