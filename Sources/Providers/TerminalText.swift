/// Output of programs made fit for pages, logs and JSON.
package enum TerminalText {
    /// Without escape sequences and control characters; carriage returns become line ends.
    package static func plain(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        var scalars = text.unicodeScalars.makeIterator()
        while let scalar = scalars.next() {
            switch scalar {
            case "\u{1B}":
                // ESC [ … final byte (CSI), ESC ] … BEL (OSC), or ESC and one more.
                guard let kind = scalars.next() else { break }
                if kind == "[" {
                    while let next = scalars.next(), !("\u{40}"..."\u{7E}").contains(next) {}
                } else if kind == "]" {
                    while let next = scalars.next(), next != "\u{07}", next != "\n" {}
                }
            case "\n", "\t": result.append(scalar)
            case "\r": result.append("\n")
            case "\u{00}"..."\u{1F}", "\u{7F}"..."\u{9F}": break
            default: result.append(scalar)
            }
        }
        return String(result)
    }
}
