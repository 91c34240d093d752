package import JSON

/// A conversation as question-and-answer turns, so that roles always alternate as chat templates want it.
package struct ChatHistory: Sendable, Equatable {
    package struct Turn: Sendable, Equatable {
        package var question: String
        package var answer: String

        package init(question: String, answer: String) {
            self.question = question
            self.answer = answer
        }
    }

    package var system: String?
    package private(set) var turns: [Turn] = []
    /// The last question where it has no answer: it failed or was stopped at once. `/retry` asks it again.
    package private(set) var unanswered: String?

    package init(system: String? = nil) { self.system = system }

    package mutating func append(question: String, answer: String) {
        unanswered = answer.isEmpty ? question : nil
        if !answer.isEmpty { turns.append(Turn(question: question, answer: answer)) }
    }

    /// Takes the last question off, to ask it again or to forget it.
    package mutating func takeLast() -> String? {
        if let question = unanswered {
            unanswered = nil
            return question
        }
        return turns.popLast()?.question
    }

    package mutating func clear() {
        turns = []
        unanswered = nil
    }

    /// Forgets the oldest turn.
    /// - Returns: false if there is none.
    package mutating func dropOldest() -> Bool {
        guard !turns.isEmpty else { return false }
        turns.removeFirst()
        return true
    }

    /// Messages in the API's shape, with one more question at the end.
    package func messages(asking question: String? = nil) -> [JSONValue] {
        var messages: [JSONValue] = []
        func add(_ role: String, _ content: String) { messages.append(["role": .string(role), "content": .string(content)]) }
        if let system { add("system", system) }
        for turn in turns {
            add("user", turn.question)
            add("assistant", turn.answer)
        }
        if let question { add("user", question) }
        return messages
    }

    /// `{"messages":[…]}`, which is a chat request's shape as well.
    package var json: JSONValue { ["messages": .array(messages(asking: unanswered))] }

    /// Reads what `json` wrote, or a bare list of messages. Messages of the same role in a row become one.
    package init(_ json: JSONValue) throws(ChatError) {
        guard let messages = json.array ?? json["messages"]?.array else {
            throw ChatError("expected an object with messages, or a list of messages")
        }
        var merged: [(role: String, content: String)] = []
        for (index, message) in messages.enumerated() {
            guard let role = message["role"]?.string, let content = message["content"]?.string else {
                throw ChatError("message \(index) must have a role and a content, both strings")
            }
            guard ["system", "user", "assistant"].contains(role) else {
                throw ChatError("message \(index) has the role '\(role)'; only system, user and assistant can be loaded")
            }
            if let last = merged.last, last.role == role {
                merged[merged.count - 1].content += "\n\n" + content
            } else {
                merged.append((role, content))
            }
        }
        self.init()
        for (index, message) in merged.enumerated() {
            switch message.role {
            case "system":
                guard index == 0 else { throw ChatError("a system message must be the first") }
                system = message.content
            case "user": unanswered = message.content
            default:
                guard let question = unanswered else { throw ChatError("an answer of the assistant must follow a question of the user") }
                append(question: question, answer: message.content)
            }
        }
    }
}
