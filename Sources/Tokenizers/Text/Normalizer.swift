/// Rewrites a text before it is split; the kinds of `tokenizer.json`.
indirect enum Normalizer: Sendable {
    case bert(cleans: Bool, spacesCJK: Bool, stripsAccents: Bool, lowercases: Bool)
    case form(NormalForm)
    case lowercase
    case stripAccents
    case strip(left: Bool, right: Bool)
    case prepend([UInt8])
    case replace(Matcher, with: [UInt8])
    case precompiled(PrecompiledCharsmap)
    case byteLevel
    case nmt
    case sequence([Normalizer])
    case sentencePiece(SentencePieceNormalizer)

    enum Matcher: Sendable {
        case literal([UInt8]), pattern(Pattern)

        func matches(in text: [UInt8]) throws(TokenizerError) -> [Range<Int>] {
            switch self {
            case .literal(let literal):
                return text.withUnsafeBufferPointer { buffer in
                    buffer.baseAddress.map { Splitter.matches(of: literal, $0, 0..<buffer.count) } ?? []
                }
            case .pattern(let pattern):
                var matches: [Range<Int>] = []
                var failure: TokenizerError?
                text.withUnsafeBufferPointer { buffer in
                    do throws(TokenizerError) { try pattern.forEachMatch(in: buffer) { matches.append($0) } } catch { failure = error }
                }
                if let failure { throw failure }
                return matches
            }
        }
    }

    func apply(_ text: inout WorkText) throws(TokenizerError) {
        if text.isEmpty { return }
        switch self {
        case .sequence(let steps): for step in steps { try step.apply(&text) }
        case .form(let form):
            if text.bytes.withUnsafeBufferPointer({ form.isCertain(for: $0) }) { return }
            text.transform(nil, form.apply(text.scalars()))
        case .lowercase: Self.lowercase(&text)
        case .stripAccents:
            if text.bytes.withUnsafeBufferPointer({ UTF8Text.isASCII($0) }) { return }
            text.filter { !ScalarClass.of($0).has(.combiningMark) }
        case .strip(let left, let right): Self.strip(&text, left: left, right: right)
        case .prepend(let prefix):
            text.prepend(String(decoding: prefix, as: UTF8.self).unicodeScalars.map(\.value))
        case .replace(let matcher, let content): text.replace(try matcher.matches(in: text.bytes), with: content)
        case .precompiled(let map): map.apply(&text)
        case .byteLevel: Self.byteLevel(&text)
        case .nmt: Self.nmt(&text)
        case .bert(let cleans, let spacesCJK, let stripsAccents, let lowercases):
            if cleans { Self.clean(&text) }
            let isASCII = text.bytes.withUnsafeBufferPointer { UTF8Text.isASCII($0) }
            if spacesCJK, !isASCII { Self.spaceCJK(&text) }
            if stripsAccents, !isASCII {
                text.transform(nil, NormalForm.nfd.apply(text.scalars()))
                text.filter { !ScalarClass.of($0).has(.nonspacingMark) }
            }
            if lowercases { Self.lowercase(&text) }
        case .sentencePiece(let rules): try rules.apply(&text)
        }
    }

    static func lowercase(_ text: inout WorkText) {
        if text.bytes.withUnsafeBufferPointer({ UTF8Text.isASCII($0) }) {
            // Same length, so the offsets stay.
            for index in text.bytes.indices where UInt8(ascii: "A")...UInt8(ascii: "Z") ~= text.bytes[index] { text.bytes[index] |= 0x20 }
            return
        }
        var changes: [ScalarChange] = []
        for scalar in text.scalars() {
            if scalar < 0x80 {
                changes.append(ScalarChange(scalar: 0x41...0x5A ~= scalar ? scalar | 0x20 : scalar, change: 0))
            } else if let value = Unicode.Scalar(scalar) {
                for (place, part) in value.properties.lowercaseMapping.unicodeScalars.enumerated() {
                    changes.append(ScalarChange(scalar: part.value, change: place == 0 ? 0 : 1))
                }
            }
        }
        text.transform(nil, changes)
    }

    private static func strip(_ text: inout WorkText, left: Bool, right: Bool) {
        let scalars = text.scalars()
        let isSpace = { (scalar: UInt32) in ScalarClass.of(scalar).has(.whiteSpace) }
        let leading = left ? scalars.prefix(while: isSpace).count : 0
        let trailing = right ? scalars.reversed().prefix(while: isSpace).count : 0
        if leading == 0, trailing == 0 { return }
        let kept = leading + trailing < scalars.count ? scalars[leading..<(scalars.count - trailing)] : []
        // The reference marks the end of the kept part by byte, so that only ASCII text drops its tail from the offsets; the tail
        // is of no token, so nothing shows.
        text.transform(nil, kept.map { ScalarChange(scalar: $0, change: 0) }, removed: leading)
    }

    private static func byteLevel(_ text: inout WorkText) {
        var changes: [ScalarChange] = []
        changes.reserveCapacity(text.bytes.count)
        for byte in text.bytes {
            changes.append(ScalarChange(scalar: UInt32(ByteAlphabet.scalars[Int(byte)]), change: byte & 0xC0 == 0x80 ? 1 : 0))
        }
        text.transform(nil, changes)
    }

    private static func nmt(_ text: inout WorkText) {
        text.filter { scalar in
            switch scalar {
            case 0x01...0x08, 0x0B, 0x0E...0x1F, 0x7F, 0x8F, 0x9F: false
            default: true
            }
        }
        text.map { scalar in
            switch scalar {
            case 0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD: 0x20
            default: scalar
            }
        }
    }

    private static func clean(_ text: inout WorkText) {
        let needless = text.bytes.allSatisfy { 0x20...0x7E ~= $0 }
        if needless { return }
        text.filter { scalar in
            if scalar == 0 || scalar == 0xFFFD { return false }
            return scalar == 9 || scalar == 10 || scalar == 13 || !ScalarClass.of(scalar).has(.other)
        }
        text.map { ScalarClass.of($0).has(.whiteSpace) ? 0x20 : $0 }
    }

    private static func spaceCJK(_ text: inout WorkText) {
        var changes: [ScalarChange] = [], found = false
        for scalar in text.scalars() {
            switch scalar {
            case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F, 0x2B920...0x2CEAF,
                0xF900...0xFAFF, 0x2F800...0x2FA1F:
                found = true
                changes.append(ScalarChange(scalar: 0x20, change: 0))
                changes.append(ScalarChange(scalar: scalar, change: 1))
                changes.append(ScalarChange(scalar: 0x20, change: 1))
            default: changes.append(ScalarChange(scalar: scalar, change: 0))
            }
        }
        if found { text.transform(nil, changes) }
    }
}
