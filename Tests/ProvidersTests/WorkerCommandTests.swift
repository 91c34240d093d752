import Jobs
import Providers
import Testing

@Suite struct WorkerCommandTests {
    private func expand(_ value: String) throws -> String? {
        var definition = ProviderDefinition(.process)
        definition.environment = [("X", value)]
        return try definition.expandedEnvironment { ["TOKEN": "s3cret", "EMPTY": ""][$0] }.first?.value
    }

    @Test func takesValuesFromTheGateway() throws {
        #expect(try expand("${TOKEN}") == "s3cret")
        #expect(try expand("Bearer ${TOKEN}${EMPTY}!$TOKEN $5 {}") == "Bearer s3cret!$TOKEN $5 {}")
        #expect(try expand("") == "")
    }

    @Test(arguments: [
        ("${MISSING}", "${MISSING}, which is not set"), ("a${", "'${' without a name"), ("${}", "'${' without a name"), ("${a b}", "'${' without a name"),
        ("${TOKEN", "'${' without a name"), ("x\0", "zero byte"),
    ])
    func saysWhatIsWrong(_ value: String, _ message: String) {
        let error = #expect(throws: ProviderError.self) { try expand(value) }
        #expect(error?.description.contains(message) == true && error?.description.contains("'X'") == true, "\(error?.description ?? "")")
    }

    @Test func theDefaultIsThisProgramsWorker() throws {
        let command = try ProviderDefinition(.process).workerCommand()
        #expect(command.count == 2 && command[0].hasPrefix("/") && command[1] == "worker")
        var definition = ProviderDefinition(.process)
        definition.command = ["python3", "handler.py"]
        #expect(try definition.workerCommand() == ["python3", "handler.py"])
    }

    @Test func outputIsMadePlain() {
        #expect(TerminalText.plain("\u{1B}[31mred\u{1B}[0m\u{1B}]0;title\u{07} 10%\r20%\n\u{07}\ttab\u{9B}") == "red 10%\n20%\n\ttab")
        #expect(TerminalText.plain("cut \u{1B}[") == "cut ")
    }

    @Test func readsProcessTables() {
        let line = Array("42 (a) b (c)) S 1 42 41 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 0 0".utf8)[...]
        #expect(ProcessEntry(line: line)?.session == 41)
        #expect(ProcessEntry(line: line)?.startTime == 12345)
        #expect(ProcessEntry(line: Array("42 (x) Z 1".utf8)[...]) == nil && ProcessEntry(line: []) == nil)
    }
}
