internal import Glibc
package import Jobs
internal import Synchronization

/// Where log lines go, whole.
package final class LogSink: Sendable {
    /// One line with its end, while no other is written.
    private let out: Mutex<@Sendable ([UInt8]) -> Void>

    package init(_ out: @escaping @Sendable ([UInt8]) -> Void) { self.out = Mutex(out) }

    package func write(_ line: [UInt8]) { out.withLock { $0(line) } }

    package static let standardError = LogSink { line in
        line.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Glibc.write(STDERR_FILENO, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count > 0 {
                    rest = rest.dropFirst(count)
                } else if errno != EINTR {
                    // Nobody reads, or a non-blocking pipe is full: the line is lost, the gateway goes on.
                    return
                }
            }
        }
    }
}

/// RFC 3339 in UTC, to the millisecond.
package enum LogTime {
    package static func text(_ time: Timestamp) -> String {
        let milliseconds = time.milliseconds
        var seconds = time_t(milliseconds >= 0 ? milliseconds / 1000 : (milliseconds - 999) / 1000)
        let rest = milliseconds - Int(seconds) * 1000
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func digits(_ value: Int, _ count: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
        }
        let date = "\(digits(Int(parts.tm_year) + 1900, 4))-\(digits(Int(parts.tm_mon) + 1, 2))-\(digits(Int(parts.tm_mday), 2))"
        return "\(date)T\(digits(Int(parts.tm_hour), 2)):\(digits(Int(parts.tm_min), 2)):\(digits(Int(parts.tm_sec), 2)).\(digits(rest, 3))Z"
    }
}
