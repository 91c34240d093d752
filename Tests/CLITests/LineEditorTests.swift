import CLI
import Testing

@Suite struct LineEditorTests {
    private func type(_ text: String, _ editor: inout LineEditor) {
        for scalar in text.unicodeScalars { _ = editor.press(.character(scalar)) }
    }

    private func editor(_ text: String, _ keys: [Key] = []) -> LineEditor {
        var editor = LineEditor()
        type(text, &editor)
        for key in keys { _ = editor.press(key) }
        return editor
    }

    @Test func movesByCharacters() {
        #expect(editor("añ🙂b", [.left, .left, .backspace]).line == "a🙂b")
        #expect(editor("añ🙂b", [.home, .right, .delete]).line == "a🙂b")
        #expect(editor("ab", [.left, .left, .left, .delete]).line == "b")
        #expect(editor("ab", [.end, .right, .delete]).line == "ab")
    }

    @Test func joinsCombiningMarks() {
        let joined = editor("e\u{301}x")
        #expect(joined.text.count == 2)
        #expect(joined.cursor == 2)
        let inserted = editor("ex", [.left, .character("\u{301}")])
        #expect(inserted.line == "e\u{301}x")
        #expect(inserted.cursor == 1)
        #expect(editor("e\u{301}", [.backspace]).line == "")
    }

    @Test func killsAndYanks() {
        #expect(editor("one two", [.control("w")]).line == "one ")
        #expect(editor("one two", [.wordLeft, .control("u")]).line == "two")
        #expect(editor("one two", [.wordLeft, .control("k")]).line == "one ")
        #expect(editor("one two", [.wordLeft, .control("k"), .home, .control("y")]).line == "twoone ")
    }

    @Test func walksThroughHistoryAndKeepsTheDraft() {
        var editor = LineEditor()
        editor.remember("first")
        editor.remember("second")
        editor.remember("second")
        editor.remember("")
        type("draft", &editor)
        _ = editor.press(.up)
        #expect(editor.line == "second")
        _ = editor.press(.up)
        #expect(editor.line == "first")
        _ = editor.press(.up)
        #expect(editor.line == "first")
        _ = editor.press(.down)
        _ = editor.press(.down)
        #expect(editor.line == "draft")
        #expect(editor.press(.enter) == .line("draft"))
        #expect(editor.line == "")
    }

    @Test func endsAndInterrupts() {
        var editor = LineEditor()
        #expect(editor.press(.control("d")) == .ended)
        type("ab", &editor)
        _ = editor.press(.home)
        #expect(editor.press(.control("d")) == .editing)
        #expect(editor.line == "b")
        #expect(editor.press(.control("c")) == .interrupted)
        #expect(editor.line == "")
    }

    @Test func paintsWrappedLines() {
        var painter = LinePainter()
        let line = editor("abcdefgh")
        // Ten columns with the prompt of two: the row is exactly full.
        #expect(painter.paint(prompt: "> ", editor: line, columns: 10) == "\r\u{1B}[J> abcdefgh\r\n\r")
        let longer = editor("abcdefghi", [.home])
        #expect(painter.paint(prompt: "> ", editor: longer, columns: 10) == "\u{1B}[1A\r\u{1B}[J> abcdefghi\u{1B}[1A\r\u{1B}[2C")
        #expect(painter.leave(prompt: "> ", editor: longer, columns: 10) == "\u{1B}[1B\r\n")
    }

    @Test func measuresCells() {
        #expect(CellWidth.of("aé漢🙂") == 6)
        #expect(CellWidth.of("e\u{301}") == 1)
    }
}
