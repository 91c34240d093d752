import Glibc

/// Where a chat's lines come from.
package protocol LineSource {
    mutating func next(prompt: String) -> LineInput
}

package enum LineInput: Sendable, Equatable {
    case line(String)
    /// Ctrl-C at the prompt.
    case interrupted
    case ended
}

/// Lines of a pipe or file; prompts are not shown.
struct PipedLines: LineSource {
    mutating func next(prompt: String) -> LineInput {
        readLine().map { .line($0) } ?? .ended
    }
}

/// Lines typed at a terminal, which is in raw mode only while a line is edited.
struct TypedLines: LineSource {
    private var editor = LineEditor()
    private var decoder = KeyDecoder()
    private var painter = LinePainter()
    /// Bytes that came after the last Enter.
    private var pending: [UInt8] = []

    mutating func next(prompt: String) -> LineInput {
        guard let saved = Self.enterRawMode() else { return .ended }
        defer { Self.leaveRawMode(saved) }
        Terminal.print(painter.paint(prompt: prompt, editor: editor, columns: Self.columns), terminator: "")
        while true {
            if pending.isEmpty { pending = Self.readBytes() }
            if pending.isEmpty { return .ended }
            for (index, byte) in pending.enumerated() {
                guard let key = decoder.feed(byte) else { continue }
                let before = editor
                let outcome = editor.press(key)
                switch outcome {
                case .editing: continue
                case .clearScreen: Terminal.print(painter.clearScreen(), terminator: "")
                case .line(let line):
                    pending.removeFirst(index + 1)
                    leave(prompt, before)
                    editor.remember(line)
                    return .line(line)
                case .interrupted, .ended:
                    pending.removeFirst(index + 1)
                    leave(prompt, before)
                    return outcome == .ended ? .ended : .interrupted
                }
            }
            pending = []
            Terminal.print(painter.paint(prompt: prompt, editor: editor, columns: Self.columns), terminator: "")
        }
    }

    /// Shows the whole line a last time: bytes may have come faster than it was painted.
    private mutating func leave(_ prompt: String, _ line: LineEditor) {
        let columns = Self.columns
        Terminal.print(
            painter.paint(prompt: prompt, editor: line, columns: columns) + painter.leave(prompt: prompt, editor: line, columns: columns),
            terminator: "")
    }

    private static func enterRawMode() -> termios? {
        var saved = termios()
        guard tcgetattr(STDIN_FILENO, &saved) == 0 else { return nil }
        var raw = saved
        cfmakeraw(&raw)
        raw.c_oflag = saved.c_oflag
        guard tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0 else { return nil }
        Terminal.print("\u{1B}[?2004h", terminator: "")
        return saved
    }

    private static func leaveRawMode(_ saved: termios) {
        Terminal.print("\u{1B}[?2004l", terminator: "")
        var saved = saved
        tcsetattr(STDIN_FILENO, TCSADRAIN, &saved)
    }

    /// - Returns: empty at the end of the input.
    private static func readBytes() -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 1024)
        while true {
            let count = read(STDIN_FILENO, &buffer, buffer.count)
            if count > 0 { return Array(buffer[..<count]) }
            if count == 0 || errno != EINTR { return [] }
        }
    }

    private static var columns: Int {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }
}
