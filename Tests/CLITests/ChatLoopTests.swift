import CLI
import Glibc
import JSON
import Sampling
import Synchronization
import TemporaryPath
import Testing

/// Answers with how many messages it was asked with, and the last question.
private struct EchoModel: ChatModel {
    var contextLength = 1000

    func prompt(_ history: ChatHistory, asking question: String) throws -> [Int32] {
        if question == "fail" { throw ChatError("refused") }
        return history.messages(asking: question).map { Int32($0["content"]?.string?.utf8.count ?? 0) }
    }

    func answer(
        _ prompt: [Int32], _ sampling: SamplingParameters, onText: @escaping @Sendable (String) -> Void
    ) async throws -> ChatAnswer {
        let text = "\(prompt.count):\(prompt.last ?? 0):\(sampling.temperature)"
        onText(text)
        return ChatAnswer(
            text: text, promptTokens: prompt.count, outputTokens: 1, millisecondsToFirstToken: 1, tokensPerSecond: 2, end: .stop)
    }
}

private struct Script: LineSource {
    var inputs: [LineInput]
    mutating func next(prompt: String) -> LineInput { inputs.isEmpty ? .ended : inputs.removeFirst() }
}

private final class Transcript: Sendable {
    let text = Mutex("")
    let notes = Mutex<[String]>([])

    var output: ChatLoop.Output {
        .init(text: { text in self.text.withLock { $0 += text } }, note: { note in self.notes.withLock { $0.append(note) } })
    }
}

@Suite struct ChatLoopTests {
    private func run(_ lines: [String]) async throws -> (loop: ChatLoop, text: String, notes: [String]) {
        let transcript = Transcript()
        var loop = ChatLoop(model: EchoModel(), sampling: SamplingParameters(greedy: 10), system: nil, output: transcript.output)
        var script = Script(inputs: lines.map { $0 == "^C" ? .interrupted : .line($0) })
        try await loop.run(&script)
        return (loop, transcript.text.withLock { $0 }, transcript.notes.withLock { $0 })
    }

    @Test func keepsTheConversation() async throws {
        let result = try await run(["hello", "", "/set temperature 0.5", "a\\", "b", "/system Be", "x"])
        #expect(result.text == "1:5:0.0\n3:3:0.5\n6:1:0.5\n")
        #expect(result.loop.history.turns.map(\.question) == ["hello", "a\nb", "x"])
    }

    @Test func retriesAndUndoes() async throws {
        let result = try await run(["one", "/retry", "two", "/undo", "three", "/exit", "four"])
        #expect(result.loop.history.turns.map(\.question) == ["one", "three"])
        #expect(result.text == "1:3:0.0\n1:3:0.0\n3:3:0.0\n3:5:0.0\n")
    }

    @Test func saysWhatGoesWrongAndGoesOn() async throws {
        let result = try await run(["/nothing", "/retry", "fail", "^C", "half\\", "^C", "ok"])
        #expect(result.loop.history.turns.map(\.question) == ["ok"])
        #expect(result.notes.count == 4)
        #expect(result.notes[2] == "refused")
    }

    @Test func savesAndLoads() async throws {
        let path = temporaryPath("needletail-chat-\(UInt64.random(in: 0 ... .max)).json")
        defer { unlink(path) }
        let saved = try await run(["one", "/save \(path)", "/clear", "/load \(path)", "two"])
        #expect(saved.loop.history.turns.map(\.question) == ["one", "two"])
        let missing = try await run(["/load /nonexistent/file", "/load \(temporaryPath(""))", "/save /nonexistent/file"])
        #expect(missing.notes.count == 3)
        #expect(missing.notes.allSatisfy { $0.hasPrefix("cannot ") })
    }
}
