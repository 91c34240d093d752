internal import JSON
package import Logging

/// Log lines as Runpod's platform reads them: `{"requestId":…,"message":…,"level":…}`, one a line.
package struct JSONLineLogHandler: LogHandler {
    package var logLevel = Logger.Level.info
    package var metadata: Logger.Metadata = [:]
    private let write: @Sendable ([UInt8]) -> Void

    /// Longest message, bytes.
    private static let longest = 10 << 20

    /// - Parameter write: takes a whole line at a time, from any thread.
    package init(write: @escaping @Sendable ([UInt8]) -> Void) { self.write = write }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        var line = JSONWriter(capacity: 200)
        line.raw("{\"requestId\":")
        if let id = all["request_id"] { line.string("\(id)") } else { line.raw("null") }
        line.raw(",\"message\":")
        let rest = all.filter { $0.key != "request_id" }.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        var text = "\(event.message)" + rest
        if text.utf8.count > Self.longest { text = String(decoding: text.utf8.prefix(Self.longest), as: UTF8.self) }
        line.string(text)
        line.raw(",\"level\":\"")
        line.raw(Self.name(event.level))
        line.raw("\"}\n")
        write(line.bytes)
    }

    private static func name(_ level: Logger.Level) -> StaticString {
        switch level {
        case .trace, .debug: "DEBUG"
        case .info, .notice: "INFO"
        case .warning: "WARN"
        case .error, .critical: "ERROR"
        }
    }
}
