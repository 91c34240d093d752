import JSON
import Tensors

/// The job of a run without a gateway.
enum TestJob {
    private static let file = "test_input.json"

    /// - Parameter text: what the command line gave.
    /// - Throws: `SettingsError` where there is none, or it cannot be read.
    static func read(_ text: String?, _ environment: [String: String]) throws -> JSONValue {
        let origin: String, bytes: [UInt8]
        if let text = text ?? WorkerVariables.text(environment["NEEDLETAIL_TEST_INPUT"]) {
            (origin, bytes) = ("--test-input", Array(text.utf8))
        } else if let file = try? MappedFile(path: file) {
            (origin, bytes) = (Self.file, Array(file.bytes))
        } else {
            throw SettingsError(
                "there is no gateway (RUNPOD_WEBHOOK_GET_JOB is not set) and no job to try (--test-input, or \(file) in this folder)")
        }
        guard let job = try? JSONValue(parsing: bytes) else { throw SettingsError("\(origin) is not JSON") }
        guard job["input"] != nil else { throw SettingsError("\(origin) has no 'input'") }
        return job
    }
}
