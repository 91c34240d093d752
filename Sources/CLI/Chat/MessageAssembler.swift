/// Lines to messages: a trailing backslash goes on with the next line, and `"""` opens a block that the next `"""` closes.
package struct MessageAssembler: Sendable {
    private static let fence = "\"\"\""

    private var lines: [String] = []
    private var isBlock = false

    package init() {}

    /// Whether a message has begun that wants more lines.
    package var isOpen: Bool { isBlock || !lines.isEmpty }

    /// - Returns: the message that the line completes.
    package mutating func feed(_ line: String) -> String? {
        if isBlock {
            guard let end = line.firstRange(of: Self.fence) else {
                lines.append(line)
                return nil
            }
            if end.lowerBound > line.startIndex { lines.append(String(line[..<end.lowerBound])) }
            return take()
        }
        if lines.isEmpty, line.hasPrefix(Self.fence) {
            let rest = line.dropFirst(Self.fence.count)
            if let end = rest.firstRange(of: Self.fence) { return String(rest[..<end.lowerBound]) }
            isBlock = true
            if !rest.isEmpty { lines.append(String(rest)) }
            return nil
        }
        guard line.hasSuffix("\\") else {
            lines.append(line)
            return take()
        }
        lines.append(String(line.dropLast()))
        return nil
    }

    /// The input ended or was given up.
    /// - Returns: what was left open, nil if nothing.
    package mutating func finish() -> String? { isOpen ? take() : nil }

    private mutating func take() -> String {
        defer {
            lines = []
            isBlock = false
        }
        return lines.joined(separator: "\n")
    }
}
