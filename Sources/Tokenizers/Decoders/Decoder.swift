/// Turns pieces back into text; the kinds of `tokenizer.json`, each a map from a list of pieces to another.
indirect enum Decoder: Sendable {
    case byteLevel
    case byteFallback
    case fuse
    case metaspace(replacement: [UInt8], removesFirst: Bool)
    case replace(Normalizer.Matcher, with: [UInt8])
    case strip(content: [UInt8], start: Int, stop: Int)
    case wordPiece(prefix: [UInt8], cleansUp: Bool)
    case bpe(suffix: [UInt8])
    case ctc(padding: [UInt8], delimiter: [UInt8], cleansUp: Bool)
    case sequence([Decoder])
    /// No decoder at all: pieces with spaces between them.
    case joinedBySpaces

    var flattened: [Decoder] {
        if case .sequence(let steps) = self { return steps.flatMap(\.flattened) }
        return [self]
    }

    /// The reference's own way, step after step over all pieces.
    func apply(_ pieces: [[UInt8]]) -> [[UInt8]] {
        switch self {
        case .sequence(let steps): return steps.reduce(pieces) { $1.apply($0) }
        case .fuse: return [Array(pieces.joined())]
        case .joinedBySpaces: return [Array(pieces.joined(separator: [0x20]))]
        case .byteLevel: return [Self.lossy(pieces.flatMap { Self.alphabetBytes($0) })]
        case .byteFallback: return Self.byteFallback(pieces)
        case .bpe(let suffix):
            return pieces.enumerated().map { Self.replacing(suffix, in: $0.element, with: $0.offset == pieces.count - 1 ? [] : [0x20]) }
        case .ctc(let padding, let delimiter, let cleansUp):
            var output: [[UInt8]] = [], last: [UInt8]?
            for piece in pieces where piece != last {
                last = piece
                var text = Self.replacing(padding, in: piece, with: [])
                if cleansUp { text = Self.replacing(delimiter, in: Self.cleanedUp(text), with: [0x20]) }
                if !text.isEmpty { output.append(text) }
            }
            return output
        default: return pieces.enumerated().map { map($0.element, isFirst: $0.offset == 0) }
        }
    }

    /// Whether each piece is mapped alone, knowing only whether it is the first.
    var isMap: Bool {
        switch self {
        case .metaspace, .replace, .strip, .wordPiece: true
        default: false
        }
    }

    /// One piece, for decoders that are maps.
    func map(_ piece: [UInt8], isFirst: Bool) -> [UInt8] {
        switch self {
        case .metaspace(let replacement, let removesFirst):
            return Self.replacing(replacement, in: piece, with: isFirst && removesFirst ? [] : [0x20])
        case .replace(.literal(let literal), let content): return Self.replacing(literal, in: piece, with: content)
        case .replace(let matcher, let content):
            // A pattern that gives up on a piece leaves it as it is: decoded text is shown, not trusted.
            let matches = (try? matcher.matches(in: piece)) ?? []
            var output: [UInt8] = [], last = 0
            for match in matches {
                output.append(contentsOf: piece[last..<match.lowerBound])
                output.append(contentsOf: content)
                last = match.upperBound
            }
            return output + piece[last...]
        case .strip(let content, let start, let stop):
            var slice = piece[...]
            for _ in 0..<start {
                guard !content.isEmpty, slice.starts(with: content) else { break }
                slice = slice.dropFirst(content.count)
            }
            for _ in 0..<stop {
                guard !content.isEmpty, slice.count >= content.count, slice.suffix(content.count).elementsEqual(content) else { break }
                slice = slice.dropLast(content.count)
            }
            return Array(slice)
        case .wordPiece(let prefix, let cleansUp):
            var text = piece
            if !isFirst {
                if text.starts(with: prefix) { text.removeFirst(prefix.count) } else { text.insert(0x20, at: 0) }
            }
            return cleansUp ? Self.cleanedUp(text) : text
        default: return piece
        }
    }

    static func replacing(_ old: [UInt8], in text: [UInt8], with new: [UInt8]) -> [UInt8] {
        guard let lead = old.first, text.contains(lead) else { return text }
        var output: [UInt8] = [], last = 0
        text.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            for match in Splitter.matches(of: old, base, 0..<buffer.count) {
                output.append(contentsOf: buffer[last..<match.lowerBound])
                output.append(contentsOf: new)
                last = match.upperBound
            }
        }
        return last == 0 ? text : output + text[last...]
    }

    private static let cleanUps: [(old: [UInt8], new: [UInt8])] = [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" do not", " don't"),
        (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ].map { (Array($0.0.utf8), Array($0.1.utf8)) }

    /// Spaces before punctuation and a few English contractions.
    static func cleanedUp(_ text: [UInt8]) -> [UInt8] {
        // Each rule begins with a space and one of seven characters; most pieces have no such place.
        var isConcerned = false
        for index in text.indices.dropLast() where text[index] == 0x20 {
            switch text[index + 1] {
            case UInt8(ascii: "."), UInt8(ascii: "?"), UInt8(ascii: "!"), UInt8(ascii: ","), UInt8(ascii: "'"): isConcerned = true
            case UInt8(ascii: "n"), UInt8(ascii: "d"): isConcerned = text.count > index + 3
            default: continue
            }
            if isConcerned { break }
        }
        return isConcerned ? cleanUps.reduce(text) { replacing($1.old, in: $0, with: $1.new) } : text
    }

    /// The bytes that a piece in GPT-2's alphabet stands for; its own where it is not in that alphabet.
    static func alphabetBytes(_ piece: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        return piece.withUnsafeBufferPointer { ByteAlphabet.decode($0, into: &output) } ? output : piece
    }

    /// The byte that `<0xNN>` stands for.
    @inline(__always) static func fallbackByte(_ piece: UnsafeBufferPointer<UInt8>) -> UInt8? {
        guard piece.count == 6, piece[0] == UInt8(ascii: "<"), piece[1] == UInt8(ascii: "0"), piece[2] == UInt8(ascii: "x"),
            piece[5] == UInt8(ascii: ">")
        else { return nil }
        func digit(_ byte: UInt8) -> UInt8? {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
            default: nil
            }
        }
        guard let low = digit(piece[4]) else { return nil }
        // Rust's number parser takes a plus sign.
        if piece[3] == UInt8(ascii: "+") { return low }
        return digit(piece[3]).map { $0 << 4 | low }
    }

    private static func byteFallback(_ pieces: [[UInt8]]) -> [[UInt8]] {
        var output: [[UInt8]] = [], run: [UInt8] = []
        func flush() {
            if run.isEmpty { return }
            if run.withUnsafeBufferPointer({ UTF8Text.isValid($0) }) {
                output.append(run)
            } else {
                output.append(contentsOf: repeatElement([0xEF, 0xBF, 0xBD], count: run.count))
            }
            run.removeAll()
        }
        for piece in pieces {
            if let byte = piece.withUnsafeBufferPointer({ fallbackByte($0) }) {
                run.append(byte)
            } else {
                flush()
                output.append(piece)
            }
        }
        flush()
        return output
    }

    /// One U+FFFD for each broken part, as Rust and Swift do it.
    static func lossy(_ bytes: [UInt8]) -> [UInt8] {
        bytes.withUnsafeBufferPointer { UTF8Text.isValid($0) } ? bytes : Array(String(decoding: bytes, as: UTF8.self).utf8)
    }
}
