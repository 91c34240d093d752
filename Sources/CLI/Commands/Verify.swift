import ArgumentParser
import Compute
import FoundationEssentials
import Golden
import Progress

/// `needletail verify`.
struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare golden folders with what this build computes: models, tokenizers, chat templates.",
        discussion: "Every folder below the given ones that holds reference outputs is checked. Exits with 1 if any differs.")

    @Argument(help: "Folders to search.")
    var folders: [String]

    @Option(help: "Check only what a regular expression finds in the folder's name.")
    var only: String?

    @Option(help: "Precision of activations: float32 or auto.")
    var dtype: DTypeOption = .float32

    @Option(help: "Compute threads.")
    var threads: Int?

    @Option(help: "Write the models' results as a table of Markdown into a file.")
    var table: String?

    func run() async throws {
        let pattern: Regex<AnyRegexOutput>?
        do {
            pattern = try only.map { try Regex($0) }
        } catch {
            throw ValidationError("--only: '\(only ?? "")' is not a regular expression: \(error)")
        }
        let verifier = Verifier(precision: dtype.precision, threadCount: threads ?? Processors.available)
        let found = try Verifier.find(below: folders).filter { folder in
            guard let pattern else { return true }
            return folder.name.firstMatch(of: pattern) != nil
        }
        guard !found.isEmpty else { throw ValidationError("no folder with reference outputs was found below \(folders.joined(separator: ", "))") }
        var failed = 0
        var results: [GoldenResult] = []
        for folder in found {
            let result = verifier.verify(folder)
            failed += result.passed ? 0 : 1
            results.append(result)
            Terminal.print(result.line)
            for failure in result.failures.prefix(8) { Terminal.print("       \(failure)") }
            if result.failures.count > 8 { Terminal.print("       … and \(result.failures.count - 8) more") }
        }
        Terminal.print("\(found.count - failed) passed, \(failed) failed")
        if let table { try write(ModelTable(results).markdown, to: table) }
        if failed > 0 { throw ExitCode(1) }
    }

    private func write(_ text: String, to path: String) throws {
        do {
            try Data(text.utf8).write(to: URL(filePath: path))
        } catch {
            throw ValidationError("--table: cannot write \(path): \(error)")
        }
    }
}
