/// Puts special tokens around the tokens of one text or two; the kinds of `tokenizer.json`.
indirect enum PostProcessor: Sendable {
    enum Piece: Sendable {
        case sequence(second: Bool, type: Int32)
        case special(ids: [Int32], type: Int32)
    }

    case template(single: [Piece], pair: [Piece])
    case bert(separator: Int32, start: Int32)
    case roberta(separator: Int32, start: Int32, trims: Bool, prefixed: Bool)
    case byteLevel(trims: Bool, prefixed: Bool)
    case sequence([PostProcessor])

    /// Whether offsets are changed by white space in tokens.
    var trimsOffsets: Bool {
        switch self {
        case .roberta(_, _, let trims, _), .byteLevel(let trims, _): trims
        case .sequence(let steps): steps.contains(where: \.trimsOffsets)
        default: false
        }
    }

    /// - Parameters:
    ///   - parts: one encoding for each text, or fewer once a step has joined them.
    ///   - edges: white-space characters at the start and the end of a token's text, for trimming; by part and token.
    func process(_ parts: [Encoding], special: Bool, edges: (Int, Int) -> (leading: Int, trailing: Int)) -> [Encoding] {
        switch self {
        case .sequence(let steps):
            return steps.reduce(parts) { $1.process($0, special: special, edges: edges) }
        case .byteLevel(let trims, let prefixed):
            return trims ? Self.trim(parts, prefixed, edges) : parts
        case .template(let single, let pair):
            guard parts.count <= 2, let first = parts.first else { return parts }
            var output: [Encoding] = []
            for piece in parts.count == 2 ? pair : single {
                switch piece {
                case .sequence(let second, let type):
                    var part = second ? (parts.count == 2 ? parts[1] : Encoding()) : first
                    part.typeIDs = Array(repeating: type, count: part.count)
                    output.append(part)
                case .special(let ids, let type):
                    if special { output.append(Self.added(ids, type)) }
                }
            }
            return output
        case .bert(let separator, let start):
            guard special else { return parts }
            return parts.enumerated().flatMap { place, part in
                place == 0
                    ? [Self.added([start], 0), part, Self.added([separator], 0)] : [part, Self.added([separator], 1)]
            }
        case .roberta(let separator, let start, let trims, let prefixed):
            var parts = trims ? Self.trim(parts, prefixed, edges) : parts
            for index in parts.indices { parts[index].typeIDs = Array(repeating: 0, count: parts[index].count) }
            guard special else { return parts }
            return parts.enumerated().flatMap { place, part in
                [Self.added([place == 0 ? start : separator], 0), part, Self.added([separator], 0)]
            }
        }
    }

    /// Which text each resulting part is of; -1 for added tokens.
    func sources(of count: Int, special: Bool) -> [Int32] {
        let probes = (0..<count).map { text -> Encoding in
            var probe = Encoding()
            probe.ids = [Int32.min + Int32(truncatingIfNeeded: text)]
            probe.typeIDs = [0]
            probe.offsets = [0..<0]
            return probe
        }
        return process(probes, special: special) { _, _ in (0, 0) }.map { part in
            part.ids.first.map { $0 < 0 ? $0 - Int32.min : -1 } ?? -1
        }
    }

    private static func added(_ ids: [Int32], _ type: Int32) -> Encoding {
        var encoding = Encoding()
        encoding.ids = ids
        encoding.typeIDs = Array(repeating: type, count: ids.count)
        encoding.offsets = Array(repeating: 0..<0, count: ids.count)
        return encoding
    }

    private static func trim(_ parts: [Encoding], _ prefixed: Bool, _ edges: (Int, Int) -> (leading: Int, trailing: Int)) -> [Encoding] {
        var parts = parts
        for part in parts.indices {
            for index in parts[part].offsets.indices {
                let edge = edges(part, index), trailing = edge.trailing
                var leading = edge.leading
                if leading == 0, trailing == 0 { continue }
                var start = parts[part].offsets[index].lowerBound, end = parts[part].offsets[index].upperBound
                if leading > 0 {
                    // The space that was put in front of the text is not in the text.
                    if index == 0 || start == 0, prefixed, leading == 1 { leading = 0 }
                    start = min(start + leading, end)
                }
                if trailing > 0, end >= trailing { end = max(end - trailing, start) }
                parts[part].offsets[index] = start..<end
            }
        }
        return parts
    }
}
