internal import CPCRE2

/// A regular expression of a quantisation config (Python's `re`), matched from the start of a module's name as `re.match` does.
///
/// PCRE2 does the work with limits on steps, depth and memory, so that no pattern from a file can hang the loader.
///
/// `@unchecked Sendable`: compiled patterns are read-only, match data is made per call.
final class NameRegex: @unchecked Sendable {
    let source: String
    private let code: OpaquePointer
    private let limits: OpaquePointer

    /// Throws the reason why the pattern is not valid.
    init(_ source: String) throws(NameRegexError) {
        self.source = source
        var errorCode: Int32 = 0, errorOffset = 0
        let bytes = Array(source.utf8)
        let compiled = bytes.withUnsafeBufferPointer {
            pcre2_compile_8($0.baseAddress, $0.count, PCRE2_UTF | PCRE2_ANCHORED | PCRE2_NEVER_BACKSLASH_C, &errorCode, &errorOffset, nil)
        }
        guard let compiled else {
            var message = [UInt8](repeating: 0, count: 200)
            let length = pcre2_get_error_message_8(errorCode, &message, message.count)
            throw NameRegexError(reason: String(decoding: message.prefix(max(0, Int(length))), as: UTF8.self))
        }
        guard let limits = pcre2_match_context_create_8(nil) else {
            pcre2_code_free_8(compiled)
            throw NameRegexError(reason: "no memory for it")
        }
        pcre2_set_match_limit_8(limits, 1_000_000)
        pcre2_set_depth_limit_8(limits, 10_000)
        pcre2_set_heap_limit_8(limits, 16 * 1024)
        code = compiled
        self.limits = limits
    }

    deinit {
        pcre2_match_context_free_8(limits)
        pcre2_code_free_8(code)
    }

    /// Whether a match starts at the name's first character. A pattern that runs into its limits does not match.
    func matches(_ name: String) -> Bool {
        guard let data = pcre2_match_data_create_8(1, nil) else { return false }
        defer { pcre2_match_data_free_8(data) }
        let bytes = Array(name.utf8)
        return bytes.withUnsafeBufferPointer { pcre2_match_8(code, $0.baseAddress, $0.count, 0, 0, data, limits) } >= 0
    }
}

struct NameRegexError: Error {
    let reason: String
}
