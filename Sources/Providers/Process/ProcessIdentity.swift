internal import Glibc

/// A process for good: its id and when it was started, so that another process that got the same id later is not taken for it.
package struct ProcessIdentity: Hashable, Sendable, CustomStringConvertible {
    package let pid: Int32
    /// Clock ticks from boot to its start (field 22 of `/proc/PID/stat`).
    package let startTime: UInt64

    package init(pid: Int32, startTime: UInt64) {
        self.pid = pid
        self.startTime = startTime
    }

    /// Reads `pid:startTime`.
    package init?(_ handle: String) {
        let parts = handle.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let pid = pid_t(parts[0]), pid > 1, let start = UInt64(parts[1]) else { return nil }
        self.init(pid: pid, startTime: start)
    }

    package var description: String { "\(pid):\(startTime)" }

    /// Whether it is there and not a zombie.
    package var isAlive: Bool { ProcessEntry(pid).map { $0.startTime == startTime && !$0.isZombie } ?? false }
}

/// What `/proc/PID/stat` says of a process.
package struct ProcessEntry: Sendable, Equatable {
    package let isZombie: Bool
    package let session: Int32
    package let startTime: UInt64

    /// Nil where there is no such process.
    package init?(_ pid: Int32) {
        let file = open("/proc/\(pid)/stat", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 2048)
        let count = read(file, &buffer, buffer.count)
        guard count > 0 else { return nil }
        self.init(line: buffer[..<count])
    }

    /// `pid (name) state ppid pgrp session … starttime …`; the name may hold spaces and brackets.
    package init?(line: ArraySlice<UInt8>) {
        guard let bracket = line.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = line[line.index(after: bracket)...].split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
        guard fields.count > 19, let session = pid_t(fields[3]), let startTime = UInt64(fields[19]) else { return nil }
        isZombie = fields[0] == "Z" || fields[0] == "X"
        self.session = session
        self.startTime = startTime
    }

    /// Whether any process but `pid` itself belongs to the session that `pid` once led.
    package static func hasMembers(session pid: Int32) -> Bool {
        guard let folder = opendir("/proc") else { return false }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }
            guard let member = pid_t(name), member != pid, let found = ProcessEntry(member) else { continue }
            if found.session == pid, !found.isZombie { return true }
        }
        return false
    }
}
