/// Reads `text/event-stream` bytes as they come, cut anywhere: lines end with LF, CR or CRLF, `data` lines of one event are joined.
package struct EventStreamParser: Sendable {
    private var line: [UInt8] = []
    private var data: [UInt8] = []
    private var hasData = false
    private var afterReturn = false
    private var isFirstLine = true
    /// Bytes of one event that are waited for.
    private static let longestEvent = 16 << 20

    package init() {}

    /// - Parameter onData: gets the data of each whole event.
    /// - Throws: `BenchError` where a line or event never ends; what `onData` throws.
    package mutating func feed(_ bytes: some Sequence<UInt8>, onData: ([UInt8]) throws -> Void) throws {
        for byte in bytes {
            let isSecondHalf = afterReturn && byte == 0x0A
            afterReturn = byte == 0x0D
            if isSecondHalf { continue }
            if byte == 0x0A || byte == 0x0D {
                try endLine(onData)
            } else {
                line.append(byte)
                if line.count > Self.longestEvent { throw BenchError("the server sent an event of more than \(Self.longestEvent) bytes") }
            }
        }
    }

    private mutating func endLine(_ onData: ([UInt8]) throws -> Void) throws {
        defer { line.removeAll(keepingCapacity: true) }
        if isFirstLine {
            isFirstLine = false
            if line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
        }
        if line.isEmpty {
            guard hasData else { return }
            hasData = false
            defer { data.removeAll(keepingCapacity: true) }
            try onData(data)
            return
        }
        // Comments and the fields event, id and retry say nothing here.
        let field = line.prefix { $0 != UInt8(ascii: ":") }
        guard field.elementsEqual("data".utf8) else { return }
        var value = line[field.endIndex...].dropFirst()
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        if hasData { data.append(0x0A) }
        hasData = true
        data += value
        if data.count > Self.longestEvent { throw BenchError("the server sent an event of more than \(Self.longestEvent) bytes") }
    }
}

/// What keeps a benchmark, or one of its requests, from running.
package struct BenchError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
