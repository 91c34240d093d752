import Glibc

/// Places of the committed fixtures and of the default model.
enum Fixtures {
    static func path(_ name: String, file: String = #filePath) -> String {
        let tests = file.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
        return "\(tests)/Fixtures/\(name)"
    }

    /// The default model as a GGUF file, where `make` put it; nil where it is not there.
    static var defaultModel: String? {
        func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        guard let cache = variable("XDG_CACHE_HOME") ?? variable("HOME").map({ "\($0)/.cache" }) else { return nil }
        let path = "\(cache)/needletail/models/SmolLM2-135M-Instruct.Q4_1.gguf"
        return access(path, R_OK) == 0 ? path : nil
    }
}
