/// Escape sequences that show a line being edited, which may wrap over several rows of the terminal.
package struct LinePainter: Sendable {
    /// Rows between the beginning of the prompt and the cursor, as last painted.
    private var cursorRow = 0

    package init() {}

    /// - Parameter columns: width of the terminal.
    package mutating func paint(prompt: String, editor: LineEditor, columns: Int) -> String {
        let columns = max(1, columns)
        let visible = Self.visible(editor.line)
        let start = CellWidth.of(prompt)
        let total = start + CellWidth.of(visible), at = start + CellWidth.of(Self.visible(editor.beforeCursor))
        var text = beginning + "\u{1B}[J" + prompt + visible
        // A terminal keeps the cursor on a full row until more comes.
        if total > 0, total % columns == 0 { text += "\r\n" }
        cursorRow = at / columns
        text += Self.move(total / columns - cursorRow, "A") + "\r" + Self.move(at % columns, "C")
        return text
    }

    /// Puts the cursor below the line and forgets it.
    package mutating func leave(prompt: String, editor: LineEditor, columns: Int) -> String {
        let rows = (CellWidth.of(prompt) + CellWidth.of(Self.visible(editor.line))) / max(1, columns)
        defer { cursorRow = 0 }
        return Self.move(rows - cursorRow, "B") + "\r\n"
    }

    package mutating func clearScreen() -> String {
        cursorRow = 0
        return "\u{1B}[H\u{1B}[2J"
    }

    private var beginning: String { Self.move(cursorRow, "A") + "\r" }

    private static func move(_ count: Int, _ direction: String) -> String { count > 0 ? "\u{1B}[\(count)\(direction)" : "" }

    /// Line breaks of a paste as arrows, other controls as blanks.
    private static func visible(_ text: String) -> String {
        String(text.map { $0.isNewline ? "↵" : ($0.unicodeScalars.first?.value ?? 0x20) < 0x20 ? " " : $0 })
    }
}
