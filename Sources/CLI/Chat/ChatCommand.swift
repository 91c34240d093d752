/// What a line that begins with a slash asks for.
package enum ChatCommand: Sendable, Equatable {
    case help, clear, retry, undo, stats, exit
    /// nil shows the present one; an empty text takes it away.
    case system(String?)
    /// nil shows all.
    case set(ChatSettings.Change?)
    case save(path: String), load(path: String)

    /// - Returns: nil for lines that are messages. `//text` is the message `/text`; see `message(of:)`.
    /// - Throws: what is wrong with the command.
    package static func parse(_ line: String) throws(ChatError) -> ChatCommand? {
        guard line.hasPrefix("/"), !line.hasPrefix("//") else { return nil }
        let name = line.dropFirst().prefix { !$0.isWhitespace }
        let rest = trimmed(line.dropFirst(name.count + 1))
        switch name {
        case "help", "?": return .help
        case "clear": return .clear
        case "retry": return .retry
        case "undo": return .undo
        case "stats": return .stats
        case "exit", "quit", "bye": return .exit
        case "system": return .system(rest.isEmpty ? nil : rest == "\"\"" ? "" : rest)
        case "set": return .set(rest.isEmpty ? nil : try ChatSettings.Change(rest))
        case "save", "load":
            guard !rest.isEmpty else { throw ChatError("/\(name) needs the name of a file") }
            return name == "save" ? .save(path: rest) : .load(path: rest)
        default: throw ChatError("there is no command /\(name); /help lists them, and //\(name) sends the text /\(name)")
        }
    }

    /// The text that a line which is no command sends.
    package static func message(of line: String) -> String { line.hasPrefix("//") ? String(line.dropFirst()) : line }

    static let helpText = """
        /system TEXT       set the system message (alone: show it; "" takes it away)
        /set NAME VALUE    change \(ChatSettings.names.joined(separator: ", "));
                           VALUE default goes back to the start; alone: show all
        /retry             answer the last question again
        /undo              take back the last question and its answer
        /clear             forget the conversation
        /save FILE         write the conversation as JSON; /load FILE reads it back
        /stats             figures of the last answer
        /exit              end (as Ctrl-D)

        A backslash at the end of a line goes on with the next; \"\"\" opens and closes a block of lines.
        Ctrl-C stops an answer. //text sends a message that begins with a slash.
        """

    private static func trimmed(_ text: Substring) -> String {
        var text = text.drop { $0.isWhitespace }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }
}

/// Something the user can put right, said in one line.
package struct ChatError: Error, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
