/// The steps that cut a normalised stretch of text into the words that the model sees.
struct PreTokenizer: Sendable {
    enum PrependScheme: Sendable { case first, never, always }

    enum Step: Sendable {
        case split(Splitter)
        /// Spaces become `replacement`, one is put in front, and words begin at it if `splits`.
        case metaspace(replacement: [UInt8], PrependScheme, splits: Bool)
        /// A space in front of each part that has none.
        case prefixSpace
        /// Bytes written in GPT-2's alphabet. Left out where it would come last: the model then works on bytes.
        case byteAlphabet
    }

    var steps: [Step] = []

    /// Whether a step asks where in the original text a part begins, which only tracked text knows after a normalizer.
    var asksForOrigin: Bool {
        steps.contains { if case .metaspace(_, .first, _) = $0 { true } else { false } }
    }

    /// Whether the text stays as it is: all steps only cut.
    var onlySplits: Bool { steps.allSatisfy { if case .split = $0 { true } else { false } } }

    /// Cuts text that no step changes.
    func split(_ text: UnsafeBufferPointer<UInt8>, parts: inout [Range<Int>], spare: inout [Range<Int>]) throws(TokenizerError) {
        parts.removeAll(keepingCapacity: true)
        if !text.isEmpty { parts.append(0..<text.count) }
        for case .split(let splitter) in steps {
            spare.removeAll(keepingCapacity: true)
            for part in parts { try splitter.split(text, part, into: &spare) }
            swap(&parts, &spare)
        }
    }

    /// Cuts `text`, changing it where steps do; `parts` are ranges of what it becomes.
    func run(_ text: inout WorkText, parts: inout [Range<Int>], spare: inout [Range<Int>]) throws(TokenizerError) {
        parts.removeAll(keepingCapacity: true)
        if !text.isEmpty { parts.append(0..<text.bytes.count) }
        for step in steps {
            switch step {
            case .split(let splitter):
                spare.removeAll(keepingCapacity: true)
                var failure: TokenizerError?
                text.bytes.withUnsafeBufferPointer { buffer in
                    do throws(TokenizerError) { for part in parts { try splitter.split(buffer, part, into: &spare) } } catch { failure = error }
                }
                if let failure { throw failure }
                swap(&parts, &spare)
            case .metaspace(let replacement, let scheme, let splits):
                Self.metaspace(&text, &parts, replacement, scheme, splits)
            case .prefixSpace:
                let bytes = text.bytes
                if parts.allSatisfy({ bytes[$0.lowerBound] == 0x20 }) { continue }
                Self.rebuild(&text, &parts) { part, output in
                    if bytes[part.lowerBound] != 0x20 { output.add([0x20], from: part.lowerBound) }
                    output.copy(part)
                }
            case .byteAlphabet:
                let bytes = text.bytes
                Self.rebuild(&text, &parts) { part, output in
                    var mapped: [UInt8] = []
                    for index in part {
                        mapped.removeAll(keepingCapacity: true)
                        ByteAlphabet.encode(bytes[index], into: &mapped)
                        output.add(mapped, from: index)
                    }
                }
            }
        }
    }

    /// A text made anew from an old one.
    private struct Output {
        let old: WorkText
        var bytes: [UInt8] = []
        var spans: [WorkText.Span] = []

        /// Adds `new`, which stands for the old byte at `index`.
        mutating func add(_ new: [UInt8], from index: Int) {
            bytes.append(contentsOf: new)
            if old.isTracked { for _ in new { spans.append(old.spans[index]) } }
        }

        mutating func copy(_ range: Range<Int>) {
            bytes.append(contentsOf: old.bytes[range])
            if old.isTracked { spans.append(contentsOf: old.spans[range]) }
        }
    }

    private static func rebuild(_ text: inout WorkText, _ parts: inout [Range<Int>], _ body: (Range<Int>, inout Output) -> Void) {
        var output = Output(old: text)
        output.bytes.reserveCapacity(text.bytes.count + parts.count)
        for index in parts.indices {
            let start = output.bytes.count
            body(parts[index], &output)
            parts[index] = start..<output.bytes.count
        }
        text.bytes = output.bytes
        text.spans = output.spans
    }

    private static func metaspace(
        _ text: inout WorkText, _ parts: inout [Range<Int>], _ replacement: [UInt8], _ scheme: PrependScheme, _ splits: Bool
    ) {
        let bytes = text.bytes, spans = text.spans, tracked = text.isTracked, origin = text.origin
        rebuild(&text, &parts) { part, output in
            let first = part.lowerBound
            let wanted = scheme == .always || scheme == .first && (tracked ? Int(spans[first].start) : origin + first) == 0
            if wanted, bytes[first] != 0x20, !bytes[part].starts(with: replacement) { output.add(replacement, from: first) }
            // Stretches without a space are copied whole.
            var start = first
            for index in part where bytes[index] == 0x20 {
                if start < index { output.copy(start..<index) }
                output.add(replacement, from: index)
                start = index + 1
            }
            if start < part.upperBound { output.copy(start..<part.upperBound) }
        }
        guard splits else { return }
        var pieces: [Range<Int>] = []
        text.bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            for part in parts {
                var start = part.lowerBound
                for match in Splitter.matches(of: replacement, base, part) where match.lowerBound > start {
                    pieces.append(start..<match.lowerBound)
                    start = match.lowerBound
                }
                if start < part.upperBound { pieces.append(start..<part.upperBound) }
            }
        }
        parts = pieces
    }
}
