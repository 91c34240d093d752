import Tokenizers

/// Reads the tokenizer keys of a GGUF file: enough for tests, until the Weights room hands them over.
struct GGUFMetadata {
    private var bytes: [UInt8]
    private var offset = 0
    private(set) var values: [String: Value] = [:]

    enum Value {
        case number(Double), text([UInt8]), texts([[UInt8]]), numbers([Double])
    }

    init(_ path: String) throws {
        bytes = try Fixtures.bytes(path)
        offset = 16
        let count = Int(integer(8))
        for _ in 0..<count {
            let key = String(decoding: text(), as: UTF8.self)
            let type = Int(integer(4))
            values[key] = value(type)
        }
    }

    private mutating func integer(_ size: Int) -> UInt64 {
        defer { offset += size }
        return (0..<size).reduce(0) { $0 | UInt64(bytes[offset + $1]) << (8 * UInt64($1)) }
    }

    private mutating func text() -> [UInt8] {
        let size = Int(integer(8))
        defer { offset += size }
        return Array(bytes[offset..<(offset + size)])
    }

    private mutating func number(_ type: Int) -> Double {
        switch type {
        case 0, 7: Double(integer(1))
        case 1: Double(Int8(truncatingIfNeeded: integer(1)))
        case 2: Double(integer(2))
        case 3: Double(Int16(truncatingIfNeeded: integer(2)))
        case 4: Double(integer(4))
        case 5: Double(Int32(truncatingIfNeeded: integer(4)))
        case 6: Double(Float(bitPattern: UInt32(integer(4))))
        case 12: Double(bitPattern: integer(8))
        default: Double(integer(8))
        }
    }

    private mutating func value(_ type: Int) -> Value {
        if type == 8 { return .text(text()) }
        if type != 9 { return .number(number(type)) }
        let element = Int(integer(4)), count = Int(integer(8))
        if element == 8 { return .texts((0..<count).map { _ in text() }) }
        return .numbers((0..<count).map { _ in number(element) })
    }

    private func text(_ key: String) -> String {
        if case .text(let bytes)? = values[key] { String(decoding: bytes, as: UTF8.self) } else { "" }
    }

    private func texts(_ key: String) -> [[UInt8]] { if case .texts(let texts)? = values[key] { texts } else { [] } }
    private func numbers(_ key: String) -> [Double] { if case .numbers(let numbers)? = values[key] { numbers } else { [] } }
    private func id(_ key: String) -> Int32? { if case .number(let number)? = values[key] { Int32(number) } else { nil } }
    private func flag(_ key: String) -> Bool? { id(key).map { $0 != 0 } }

    var vocabulary: GGUFVocabulary {
        var result = GGUFVocabulary(
            model: text("tokenizer.ggml.model"), pre: text("tokenizer.ggml.pre"), tokens: texts("tokenizer.ggml.tokens"))
        result.scores = numbers("tokenizer.ggml.scores").map { Float($0) }
        result.tokenTypes = numbers("tokenizer.ggml.token_type").map { Int32($0) }
        result.merges = texts("tokenizer.ggml.merges")
        result.bos = id("tokenizer.ggml.bos_token_id")
        result.eos = id("tokenizer.ggml.eos_token_id")
        result.unknown = id("tokenizer.ggml.unknown_token_id")
        result.separator = id("tokenizer.ggml.seperator_token_id")
        result.padding = id("tokenizer.ggml.padding_token_id")
        result.addBOS = flag("tokenizer.ggml.add_bos_token")
        result.addEOS = flag("tokenizer.ggml.add_eos_token")
        result.addSpacePrefix = flag("tokenizer.ggml.add_space_prefix")
        result.removeExtraWhitespaces = flag("tokenizer.ggml.remove_extra_whitespaces")
        result.precompiledCharsmap = numbers("tokenizer.ggml.precompiled_charsmap").map { UInt8(truncatingIfNeeded: Int($0)) }
        return result
    }
}
