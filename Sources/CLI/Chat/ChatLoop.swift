import JSON
package import Sampling

/// Reads lines, obeys commands, asks the model, keeps the conversation.
package struct ChatLoop {
    /// Where the loop shows things: answers on standard output, remarks on standard error.
    package struct Output: Sendable {
        package var text: @Sendable (String) -> Void
        package var note: @Sendable (String) -> Void

        package init(text: @escaping @Sendable (String) -> Void, note: @escaping @Sendable (String) -> Void) {
            self.text = text
            self.note = note
        }
    }

    private let model: any ChatModel
    private let output: Output
    package private(set) var history: ChatHistory
    package private(set) var settings: ChatSettings
    private var lastAnswer: ChatAnswer?

    package init(model: any ChatModel, sampling: SamplingParameters, system: String?, output: Output) {
        self.model = model
        self.output = output
        history = ChatHistory(system: system)
        settings = ChatSettings(sampling)
    }

    /// Until the input ends or `/exit`.
    package mutating func run(_ lines: inout some LineSource) async throws {
        var assembler = MessageAssembler()
        while true {
            switch lines.next(prompt: assembler.isOpen ? ". " : "> ") {
            case .ended:
                if let rest = assembler.finish() { try await handle(message: rest) }
                return
            case .interrupted:
                if assembler.finish() == nil { output.note("(Ctrl-D or /exit ends)") }
            case .line(let line):
                if !assembler.isOpen {
                    do throws(ChatError) {
                        if let command = try ChatCommand.parse(line) {
                            guard try await obey(command) else { return }
                            continue
                        }
                    } catch {
                        output.note(error.description)
                        continue
                    }
                }
                if let message = assembler.feed(line) { try await handle(message: message) }
            }
        }
    }

    private mutating func handle(message: String) async throws {
        guard message.contains(where: { !$0.isWhitespace }) else { return }
        await ask(ChatCommand.message(of: message))
    }

    /// One question and its answer. What goes wrong is said; the conversation stays as it was.
    /// - Returns: whether there is an answer.
    @discardableResult
    package mutating func ask(_ question: String) async -> Bool {
        do {
            let window = ContextWindow(length: model.contextLength, maxTokens: settings.sampling.maxTokens)
            let fit = try window.fit(history) { try model.prompt($0, asking: question) }
            if fit.droppedTurns > 0 {
                output.note("(the context of \(model.contextLength) tokens is full: forgot the oldest \(fit.droppedTurns == 1 ? "turn" : "\(fit.droppedTurns) turns"))")
                history = fit.history
            }
            let answer = try await model.answer(fit.prompt, settings.sampling, onText: output.text)
            output.text("\n")
            lastAnswer = answer
            history.append(question: question, answer: answer.text)
            switch answer.end {
            case .stop: break
            case .length: output.note("(cut at the limit of tokens)")
            case .stopped: output.note("(stopped)")
            }
            return true
        } catch {
            history.append(question: question, answer: "")
            output.note("\(error)")
            return false
        }
    }

    /// - Returns: false if the chat is over.
    private mutating func obey(_ command: ChatCommand) async throws(ChatError) -> Bool {
        switch command {
        case .help: output.note(ChatCommand.helpText)
        case .exit: return false
        case .clear:
            history.clear()
            output.note("(forgot the conversation)")
        case .system(nil): output.note(history.system ?? "(there is no system message)")
        case .system(let text?):
            history.system = text.isEmpty ? nil : text
            output.note(text.isEmpty ? "(no system message)" : "(system message set)")
        case .set(nil): output.note(settings.summary)
        case .set(let change?):
            settings.apply(change)
            output.note("(\(settings.summary))")
        case .retry:
            guard let question = history.takeLast() else { throw ChatError("there is no question to answer again") }
            await ask(question)
        case .undo:
            guard history.takeLast() != nil else { throw ChatError("there is nothing to take back") }
            output.note("(took back the last question; \(history.turns.count) turns are left)")
        case .stats: output.note(lastAnswer?.summary ?? "(there is no answer yet)")
        case .save(let path):
            do {
                try TextFile.write(history.json.text + "\n", to: path)
            } catch {
                throw ChatError(error.description)
            }
            output.note("(saved \(history.turns.count) turns to \(path))")
        case .load(let path):
            history = try Self.read(path)
            output.note("(loaded \(history.turns.count) turns\(history.unanswered == nil ? "" : "; /retry answers the last question"))")
        }
        return true
    }

    private static func read(_ path: String) throws(ChatError) -> ChatHistory {
        let json: JSONValue
        do {
            json = try JSONValue(parsing: try TextFile.read(path))
        } catch let error as TextFileError {
            throw ChatError(error.description)
        } catch {
            throw ChatError("\(path) is not JSON: \(error)")
        }
        do {
            return try ChatHistory(json)
        } catch {
            throw ChatError("\(path): \(error)")
        }
    }
}
