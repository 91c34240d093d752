/// Python's `textwrap.wrap` for one paragraph, tabs and line ends left as they are.
struct TextWrap {
    let width: Int
    let breaksLongWords: Bool
    let breaksOnHyphens: Bool

    func lines(of text: String) -> [String] {
        var chunks = Array(pieces(of: Array(text.unicodeScalars)).reversed())
        var lines: [String] = []
        while !chunks.isEmpty {
            var line: [[Unicode.Scalar]] = [], length = 0
            if !lines.isEmpty, let first = chunks.last, first.allSatisfy(\.isPythonSpace) { chunks.removeLast() }
            while let next = chunks.last, length + next.count <= width {
                length += next.count
                line.append(chunks.removeLast())
            }
            if let next = chunks.last, next.count > width {
                if breaksLongWords {
                    let space = width - length
                    var end = space
                    if breaksOnHyphens, next.count > space, let hyphen = next[..<space].lastIndex(of: "-"), hyphen > 0,
                        next[..<hyphen].contains(where: { $0 != "-" })
                    {
                        end = hyphen + 1
                    }
                    line.append(Array(next[..<min(end, next.count)]))
                    chunks[chunks.count - 1] = Array(next[min(end, next.count)...])
                    length += end
                } else if line.isEmpty {
                    line.append(chunks.removeLast())
                }
            }
            if let last = line.last, last.allSatisfy(\.isPythonSpace) { line.removeLast() }
            if !line.isEmpty { lines.append(String(scalars: line.joined())) }
        }
        return lines
    }

    private func isBlank(_ scalar: Unicode.Scalar) -> Bool { "\t\n\u{B}\u{C}\r ".unicodeScalars.contains(scalar) }

    /// Runs of white space, and words, which may end after a hyphen between letters or before a dash.
    private func pieces(of text: [Unicode.Scalar]) -> [[Unicode.Scalar]] {
        var pieces: [[Unicode.Scalar]] = [], index = 0
        func isLetter(_ place: Int) -> Bool { text.indices.contains(place) && text[place].isWord && text[place].decimalValue == nil }
        func isWord(_ place: Int) -> Bool { text.indices.contains(place) && text[place].isWord }
        /// Length of a dash (two hyphens or more between words) that begins here.
        func dash(_ place: Int) -> Int? {
            guard place > 0, text[place - 1].isWord || "!\"'&.,?".unicodeScalars.contains(text[place - 1]) else { return nil }
            var end = place
            while end < text.count, text[end] == "-" { end += 1 }
            return end - place >= 2 && isWord(end) ? end - place : nil
        }
        while index < text.count {
            let start = index
            if isBlank(text[index]) {
                while index < text.count, isBlank(text[index]) { index += 1 }
            } else if breaksOnHyphens, let length = dash(index) {
                index += length
            } else {
                index += 1
                while index < text.count, !isBlank(text[index]) {
                    if breaksOnHyphens {
                        if dash(index) != nil { break }
                        let afterLetters = (isLetter(index - 1) && isLetter(index - 2)) || (isLetter(index - 1) && index >= 2 && text[index - 2] == "-" && isLetter(index - 3))
                        let beforeLetters = isLetter(index + 1) && (isLetter(index + 2) || (index + 2 < text.count && text[index + 2] == "-" && isLetter(index + 3)))
                        if text[index] == "-", index - start >= 1, afterLetters, beforeLetters {
                            index += 1
                            break
                        }
                    }
                    index += 1
                }
            }
            pieces.append(Array(text[start..<index]))
        }
        return pieces
    }
}
