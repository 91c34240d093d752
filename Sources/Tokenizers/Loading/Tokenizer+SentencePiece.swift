extension Tokenizer {
    /// A tokenizer from a SentencePiece model file (`tokenizer.model`, `spiece.model`): unigram or BPE.
    ///
    /// - Parameters:
    ///   - addBOS, addEOS: whether special tokens go around a text. A model file does not say; by default BPE models, which are of the
    ///     Llama kind, begin with BOS, and unigram models, of the T5 kind, end with EOS.
    package convenience init(
        sentencePiece bytes: UnsafeBufferPointer<UInt8>, addBOS: Bool? = nil, addEOS: Bool? = nil
    ) throws(TokenizerError) {
        var parts = SentencePieceParts()
        parts.fallsBackToBytes = false
        parts.normalizer.removesExtraSpaces = true
        var bos = 1, eos = 2, unknown = 0, charsmap: [UInt8] = [], kind = 1
        var model = ProtobufReader(bytes, part: "SentencePiece model")
        while let field = try model.next() {
            switch field.number {
            case 1: try Self.readPiece(field, &parts)
            case 2:
                var trainer = try field.message()
                while let option = try trainer.next() {
                    switch option.number {
                    case 3: kind = option.int
                    case 24: if option.int != 0 { throw .unsupported(part: "SentencePiece model", name: "treat_whitespace_as_suffix") }
                    case 35: parts.fallsBackToBytes = option.int != 0
                    case 40: unknown = option.int
                    case 41: bos = option.int
                    case 42: eos = option.int
                    default: continue
                    }
                }
            case 3:
                var rules = try field.message()
                while let rule = try rules.next() {
                    switch rule.number {
                    case 2: charsmap = Array(rule.bytes)
                    case 3: parts.normalizer.prefix = rule.int != 0 ? .first : .never
                    case 4: parts.normalizer.removesExtraSpaces = rule.int != 0
                    case 5: parts.normalizer.escapesSpaces = rule.int != 0
                    default: continue
                    }
                }
            default: continue
            }
        }
        guard !parts.pieces.isEmpty else { throw .malformed(part: "SentencePiece model", reason: "there are no pieces") }
        switch kind {
        case 1: parts.isUnigram = true
        case 2: parts.isUnigram = false
        default: throw .unsupported(part: "SentencePiece model.model_type", name: "\(kind)")
        }
        if !charsmap.isEmpty { parts.normalizer.map = try PrecompiledCharsmap(charsmap, part: "SentencePiece model.normalizer_spec") }
        func id(_ number: Int) -> Int32? { parts.pieces.indices.contains(number) ? Int32(number) : nil }
        (parts.unknown, parts.bos, parts.eos) = (id(unknown), id(bos), id(eos))
        parts.isSingle = true
        parts.addsBOS = addBOS ?? !parts.isUnigram
        parts.addsEOS = addEOS ?? parts.isUnigram
        self.init(try parts.makeParts())
    }

    private static func readPiece(_ field: ProtobufReader.Field, _ parts: inout SentencePieceParts) throws(TokenizerError) {
        var piece: [UInt8] = [], score: Float = 0, type = 1
        var message = try field.message()
        while let value = try message.next() {
            switch value.number {
            case 1: piece = Array(value.bytes)
            case 2: score = value.float
            case 3: type = value.int
            default: continue
            }
        }
        guard piece.withUnsafeBufferPointer({ UTF8Text.isValid($0) }) else {
            throw .malformed(part: "SentencePiece model", reason: "piece \(parts.pieces.count) is not valid UTF-8")
        }
        parts.pieces.append(piece)
        parts.scores.append(score)
        parts.types.append(Int32(truncatingIfNeeded: type))
    }
}

/// The fields of a protocol-buffers message, one after another.
struct ProtobufReader {
    struct Field {
        var number: Int
        /// The number of fields that hold one.
        var int = 0
        var float: Float = 0
        var bytes = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
        fileprivate var part = "", isBytes = false

        /// The message that the field holds.
        func message() throws(TokenizerError) -> ProtobufReader {
            guard isBytes else { throw .malformed(part: part, reason: "field \(number) should be a message") }
            return ProtobufReader(bytes, part: part)
        }
    }

    private let bytes: UnsafeBufferPointer<UInt8>
    private let part: String
    private var index = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>, part: String) {
        self.bytes = bytes
        self.part = part
    }

    private mutating func variableInt() throws(TokenizerError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard index < bytes.count else { break }
            let byte = bytes[index]
            index += 1
            if shift < 64 { value |= UInt64(byte & 0x7F) << shift }
            if byte < 0x80 { return value }
        }
        throw .malformed(part: part, reason: "a number does not end at byte \(index)")
    }

    private mutating func take(_ count: Int) throws(TokenizerError) -> UnsafeBufferPointer<UInt8> {
        guard count >= 0, count <= bytes.count - index else {
            throw .malformed(part: part, reason: "a field of \(count) bytes at byte \(index) runs past the end")
        }
        defer { index += count }
        return UnsafeBufferPointer(rebasing: bytes[index..<(index + count)])
    }

    mutating func next() throws(TokenizerError) -> Field? {
        guard index < bytes.count else { return nil }
        let key = try variableInt()
        var field = Field(number: Int(truncatingIfNeeded: key >> 3))
        field.part = part
        switch key & 7 {
        case 0: field.int = Int(truncatingIfNeeded: try variableInt())
        case 1: _ = try take(8)
        case 2:
            let count = try variableInt()
            guard count <= UInt64(bytes.count) else { throw .malformed(part: part, reason: "a field of \(count) bytes runs past the end") }
            field.bytes = try take(Int(count))
            field.isBytes = true
        case 5:
            let four = try take(4)
            let bits = four.enumerated().reduce(UInt32(0)) { $0 | UInt32($1.element) << (8 * UInt32($1.offset)) }
            field.float = Float(bitPattern: bits)
        default: throw .malformed(part: part, reason: "a field of kind \(key & 7) at byte \(index) is not known; this is no SentencePiece model")
        }
        return field
    }
}
