internal import CPCRE2

/// A compiled regular expression in the dialect of `tokenizer.json` (Oniguruma's Ruby syntax), matched over UTF-8 bytes.
///
/// PCRE2 does the work, with its just-in-time compiler where the machine has it. Steps, depth and memory of a match are limited, so
/// that no pattern can hang on a text. Safe to share: a compiled pattern is read-only, match data is made per scan.
final class Pattern: @unchecked Sendable {
    let source: String
    private let code: OpaquePointer
    private let context: OpaquePointer

    init(_ source: String, part: String) throws(TokenizerError) {
        self.source = source
        let translated = try OnigurumaTranslation.translate(source, part: part)
        var errorCode: Int32 = 0, errorOffset = 0
        let options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NO_UTF_CHECK | PCRE2_NEVER_BACKSLASH_C | PCRE2_MATCH_INVALID_UTF
        let settings = pcre2_compile_context_create_8(nil)
        defer { pcre2_compile_context_free_8(settings) }
        pcre2_set_newline_8(settings, UInt32(PCRE2_NEWLINE_LF))
        pcre2_set_bsr_8(settings, UInt32(PCRE2_BSR_UNICODE))
        let compiled = translated.withUnsafeBufferPointer {
            pcre2_compile_8($0.baseAddress, $0.count, options & ~PCRE2_MATCH_INVALID_UTF, &errorCode, &errorOffset, settings)
        }
        guard let compiled else {
            var message = [UInt8](repeating: 0, count: 200)
            let length = pcre2_get_error_message_8(errorCode, &message, message.count)
            let reason = String(decoding: message.prefix(max(0, Int(length))), as: UTF8.self)
            throw .malformed(part: part, reason: "the pattern '\(source)' is not valid: \(reason)")
        }
        guard let context = pcre2_match_context_create_8(nil) else {
            pcre2_code_free_8(compiled)
            throw .malformed(part: part, reason: "no memory to match the pattern '\(source)'")
        }
        code = compiled
        self.context = context
        pcre2_jit_compile_8(compiled, UInt32(PCRE2_JIT_COMPLETE))
        pcre2_set_match_limit_8(context, 5_000_000)
        pcre2_set_depth_limit_8(context, 100_000)
        pcre2_set_heap_limit_8(context, 64 * 1024)
    }

    deinit {
        pcre2_match_context_free_8(context)
        pcre2_code_free_8(code)
    }

    /// Calls `body` with each match from left to right. An empty match counts unless it begins where the last match ended.
    func forEachMatch(
        in text: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>) -> Void
    ) throws(TokenizerError) {
        guard let base = text.baseAddress, let data = pcre2_match_data_create_8(1, nil) else { return }
        defer { pcre2_match_data_free_8(data) }
        // Room for the compiled matcher's own stack; its 32 kB default is soon used up by a long repeat of a group.
        let stack = pcre2_jit_stack_create_8(32 * 1024, 8 * 1024 * 1024, nil)
        defer { pcre2_jit_stack_free_8(stack) }
        guard let local = pcre2_match_context_copy_8(context) else { return }
        defer { pcre2_match_context_free_8(local) }
        pcre2_jit_stack_assign_8(local, nil, UnsafeMutableRawPointer(stack))
        let vector = pcre2_get_ovector_pointer_8(data)
        var position = 0, lastEnd = -1
        while position <= text.count {
            let result = pcre2_match_8(code, base, text.count, position, PCRE2_NO_UTF_CHECK, data, local)
            if result == PCRE2_ERROR_NOMATCH { return }
            guard result >= 0, let vector else { throw .patternTooCostly(pattern: source) }
            let start = vector[0], end = vector[1]
            if start == end, end == lastEnd {
                position = end < text.count ? end + UTF8Text.width(base[end]) : end + 1
                continue
            }
            // A look-behind with \K can put the start after the end; such a match is dropped.
            guard start <= end else { throw .patternTooCostly(pattern: source) }
            position = end
            lastEnd = end
            body(start..<end)
        }
    }
}
