/// One line being typed: text, cursor and history as a value, without a terminal. Characters are grapheme clusters, so that the cursor
/// never stands inside one.
package struct LineEditor: Sendable {
    package enum Outcome: Sendable, Equatable {
        /// The line changed or the cursor moved: paint again.
        case editing
        case line(String)
        /// Ctrl-C: the line is given up.
        case interrupted
        /// Ctrl-D on an empty line.
        case ended
        /// Ctrl-L.
        case clearScreen
    }

    package private(set) var text: [Character] = []
    /// Characters before the cursor.
    package private(set) var cursor = 0
    private var history: [String] = []
    /// Place in the history; its end is the line being typed.
    private var place = 0
    private var draft: [Character] = []
    private var killed: [Character] = []
    private static let historyLimit = 1000

    package init() {}

    package var line: String { String(text) }
    package var beforeCursor: String { String(text[..<cursor]) }

    /// Lines that the arrow keys bring back; neither empty ones nor repetitions.
    package mutating func remember(_ line: String) {
        if !line.isEmpty, line != history.last { history.append(line) }
        if history.count > Self.historyLimit { history.removeFirst() }
        place = history.count
    }

    package mutating func press(_ key: Key) -> Outcome {
        switch key {
        case .character(let scalar): insert(String(Character(scalar)))
        case .paste(let pasted): insert(pasted)
        case .tab: insert("    ")
        case .enter: return .line(take())
        case .backspace, .control("h"): remove(max(0, cursor - 1)..<cursor)
        case .delete: remove(cursor..<min(text.count, cursor + 1))
        case .left, .control("b"): cursor = max(0, cursor - 1)
        case .right, .control("f"): cursor = min(text.count, cursor + 1)
        case .home, .control("a"): cursor = 0
        case .end, .control("e"): cursor = text.count
        case .wordLeft: cursor = wordStart
        case .wordRight: cursor = wordEnd
        case .up, .control("p"): recall(place - 1)
        case .down, .control("n"): recall(place + 1)
        case .control("u"): kill(0..<cursor)
        case .control("k"): kill(cursor..<text.count)
        case .control("w"): kill(wordStart..<cursor)
        case .control("y"): insert(String(killed))
        case .control("l"): return .clearScreen
        case .control("c"):
            _ = take()
            return .interrupted
        case .control("d"):
            if text.isEmpty { return .ended }
            remove(cursor..<min(text.count, cursor + 1))
        case .control: break
        }
        return .editing
    }

    private mutating func take() -> String {
        defer {
            text = []
            cursor = 0
            place = history.count
            draft = []
        }
        return line
    }

    /// A combining mark joins the character before it: the text is cut into characters anew.
    private mutating func insert(_ added: String) {
        let before = String(text[..<cursor]) + added
        let after = String(text[cursor...])
        let whole = before + after
        text = Array(whole)
        let end = before.utf8.count
        var count = 0, bytes = 0
        while count < text.count, bytes < end {
            bytes += text[count].utf8.count
            count += 1
        }
        cursor = count
    }

    private mutating func remove(_ range: Range<Int>) {
        text.removeSubrange(range)
        cursor = range.lowerBound
    }

    private mutating func kill(_ range: Range<Int>) {
        if !range.isEmpty { killed = Array(text[range]) }
        remove(range)
    }

    private mutating func recall(_ wanted: Int) {
        guard (0...history.count).contains(wanted), wanted != place else { return }
        if place == history.count { draft = text }
        place = wanted
        text = wanted == history.count ? draft : Array(history[wanted])
        cursor = text.count
    }

    private var wordStart: Int {
        var index = cursor
        while index > 0, text[index - 1].isWhitespace { index -= 1 }
        while index > 0, !text[index - 1].isWhitespace { index -= 1 }
        return index
    }

    private var wordEnd: Int {
        var index = cursor
        while index < text.count, text[index].isWhitespace { index += 1 }
        while index < text.count, !text[index].isWhitespace { index += 1 }
        return index
    }
}
