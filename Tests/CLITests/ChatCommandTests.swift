import CLI
import JSON
import Sampling
import Testing

@Suite struct ChatCommandTests {
    @Test func parsesCommands() throws {
        #expect(try ChatCommand.parse("hello") == nil)
        #expect(try ChatCommand.parse("//usr/bin") == nil)
        #expect(ChatCommand.message(of: "//usr/bin") == "/usr/bin")
        #expect(try ChatCommand.parse("/help") == .help)
        #expect(try ChatCommand.parse("/exit ") == .exit)
        #expect(try ChatCommand.parse("/system  Be brief. ") == .system("Be brief."))
        #expect(try ChatCommand.parse("/system") == .system(nil))
        #expect(try ChatCommand.parse("/system \"\"") == .system(""))
        #expect(try ChatCommand.parse("/save my chat.json") == .save(path: "my chat.json"))
        #expect(try ChatCommand.parse("/set top_p=0.5") == .set(.topP(0.5)))
        #expect(try ChatCommand.parse("/set seed default") == .set(.seed(nil)))
        #expect(try ChatCommand.parse("/set") == .set(nil))
    }

    @Test(arguments: [
        "/nothing", "/save", "/set temperature", "/set temperature 3", "/set temperature nan", "/set top_p 0", "/set top_k 1.5",
        "/set max_tokens 0", "/set seed -1", "/set colour red",
    ])
    func refuses(_ line: String) {
        #expect(throws: ChatError.self) { try ChatCommand.parse(line) }
    }

    @Test func settingsGoBackToTheStart() {
        var initial = SamplingParameters()
        initial.temperature = 0.6
        initial.maxTokens = 100
        var settings = ChatSettings(initial)
        settings.apply(.temperature(1.5))
        settings.apply(.maxTokens(7))
        #expect(settings.sampling.temperature == 1.5)
        #expect(settings.summary.hasPrefix("temperature 1.5, "))
        settings.apply(.temperature(nil))
        settings.apply(.maxTokens(nil))
        #expect(settings.sampling == initial)
    }

    @Test func assemblesMessages() {
        var assembler = MessageAssembler()
        #expect(assembler.feed("one") == "one")
        #expect(assembler.feed("a\\") == nil)
        #expect(assembler.isOpen)
        #expect(assembler.feed("b") == "a\nb")
        #expect(assembler.feed("\"\"\"x") == nil)
        #expect(assembler.feed("/help \\") == nil)
        #expect(assembler.feed("") == nil)
        #expect(assembler.feed("y\"\"\"") == "x\n/help \\\n\ny")
        #expect(assembler.feed("\"\"\"whole\"\"\"") == "whole")
        #expect(assembler.feed("\"\"\"") == nil)
        #expect(assembler.finish() == "")
        #expect(!assembler.isOpen)
    }
}

@Suite struct ChatHistoryTests {
    @Test func survivesSavingAndLoading() throws {
        var history = ChatHistory(system: "S")
        history.append(question: "q1", answer: "a1")
        history.append(question: "q2", answer: "")
        #expect(history.turns.count == 1)
        #expect(try ChatHistory(JSONValue(parsing: history.json.text)) == history)
        #expect(history.takeLast() == "q2")
        #expect(history.takeLast() == "q1")
        #expect(history.takeLast() == nil)
    }

    @Test func joinsMessagesOfOneRole() throws {
        let history = try ChatHistory(JSONValue(parsing: """
            [{"role":"user","content":"a"},{"role":"user","content":"b"},{"role":"assistant","content":"c"}]
            """))
        #expect(history.turns == [.init(question: "a\n\nb", answer: "c")])
    }

    @Test(arguments: [
        "3", "{}", #"[{"role":"user"}]"#, #"[{"role":"tool","content":"x"}]"#, #"[{"role":"assistant","content":"x"}]"#,
        #"[{"role":"user","content":"x"},{"role":"system","content":"y"}]"#,
    ])
    func refuses(_ text: String) {
        #expect(throws: ChatError.self) { try ChatHistory(JSONValue(parsing: text)) }
    }

    @Test func forgetsOldestTurnsOnly() throws {
        var history = ChatHistory(system: "S")
        for index in 0..<5 { history.append(question: "q\(index)", answer: "a") }
        let window = ContextWindow(length: 100, maxTokens: 10)
        #expect(window.reserve == 10)
        let fit = try window.fit(history) { [Int32](repeating: 0, count: 30 + 20 * $0.turns.count) }
        #expect(fit.droppedTurns == 2)
        #expect(fit.history.turns.first?.question == "q2")
        #expect(fit.history.system == "S")
        #expect(throws: ChatError.self) { try window.fit(history) { _ in [Int32](repeating: 0, count: 100) } }
        // Alone it may use the answer's reserve.
        #expect(try window.fit(history) { _ in [Int32](repeating: 0, count: 99) }.history.turns.isEmpty)
    }
}
