internal import JSON
internal import Jobs
package import Logging

/// `--log-format`.
package enum LogFormat: String, Sendable, CaseIterable {
    /// One JSON object a line: `time`, `level`, `logger`, `message`, then metadata (`job`, `endpoint`, `worker`, …) as texts.
    case json
    /// `2026-03-01T12:00:00.123Z warning message job=… endpoint=…`
    case text
}

/// Writes log lines without keys in them; one event is one line, whatever its texts hold.
package struct JobLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    package var logLevel: Logger.Level
    private let label: String
    private let format: LogFormat
    private let redactor: Redactor
    private let sink: LogSink

    package init(label: String, format: LogFormat, level: Logger.Level = .info, redactor: Redactor, sink: LogSink = .standardError) {
        self.label = label
        self.format = format
        self.redactor = redactor
        self.sink = sink
        logLevel = level
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var fields = metadata
        if let provided = metadataProvider?.get() { fields.merge(provided) { $1 } }
        if let own = event.metadata { fields.merge(own) { $1 } }
        if let error = event.error, fields["error"] == nil { fields["error"] = "\(error)" }
        // Those that lines are searched by come first, the rest by name.
        let first = ["job", "endpoint", "worker"]
        let names = first.filter { fields[$0] != nil } + fields.keys.filter { !first.contains($0) }.sorted()
        let members = names.map { name in
            (name: name, value: Redactor.isSecretName(name) ? Redactor.mark : redactor(Self.text(fields[name] ?? "")))
        }
        let lost = sink.takeLost()
        if lost > 0 { write(.warning, "log lines were lost: they were not read as fast as they came", [(name: "lines", value: "\(lost)")]) }
        write(event.level, redactor(event.message.description), members)
    }

    private func write(_ level: Logger.Level, _ message: String, _ members: [(name: String, value: String)]) {
        let time = LogTime.text(.now)
        switch format {
        case .json: sink.write(json(time, level, message, members))
        case .text: sink.write(Self.plain(time, level, message, members))
        }
    }

    private func json(_ time: String, _ level: Logger.Level, _ message: String, _ members: [(name: String, value: String)]) -> [UInt8] {
        var writer = JSONWriter(capacity: 256)
        writer.raw("{\"time\":")
        writer.string(time)
        writer.next("level", level.rawValue)
        writer.next("logger", label)
        writer.next("message", message)
        for (name, value) in members {
            writer.raw(",")
            writer.string(["time", "level", "logger", "message"].contains(name) ? "metadata.\(name)" : name)
            writer.raw(":")
            writer.string(value)
        }
        writer.raw("}\n")
        return writer.bytes
    }

    private static func plain(_ time: String, _ level: Logger.Level, _ message: String, _ members: [(name: String, value: String)]) -> [UInt8] {
        var writer = JSONWriter(capacity: 256)
        writer.raw("\(time) \(level.rawValue) ")
        line(message, &writer)
        for (name, value) in members {
            writer.raw(" ")
            line(name, &writer)
            writer.raw("=")
            if value.isEmpty || value.utf8.contains(where: { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\"") }) {
                writer.string(value)
            } else {
                line(value, &writer)
            }
        }
        writer.raw("\n")
        return writer.bytes
    }

    /// On one line and without escape sequences: texts come from clients and workers.
    private static func line(_ text: String, _ writer: inout JSONWriter) {
        if text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) { writer.escaped(text) } else { writer.raw(text) }
    }

    private static func text(_ value: Logger.Metadata.Value) -> String {
        switch value {
        case .string(let text): text
        case .stringConvertible(let value): value.description
        case .array(let values): "[" + values.map(text).joined(separator: ", ") + "]"
        case .dictionary(let values):
            "{"
                + values.sorted { $0.key < $1.key }.map { "\($0.key): \(Redactor.isSecretName($0.key) ? Redactor.mark : text($0.value))" }
                .joined(separator: ", ") + "}"
        }
    }
}
