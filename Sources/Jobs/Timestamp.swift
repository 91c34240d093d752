internal import Glibc

/// A moment of wall-clock time in milliseconds since 1970, as stores keep it and replicas on several machines compare it.
package struct Timestamp: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let milliseconds: Int

    package init(milliseconds: Int) { self.milliseconds = milliseconds }

    package static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: time.tv_sec * 1000 + time.tv_nsec / 1_000_000)
    }

    package var description: String { String(milliseconds) }
    package static func < (a: Self, b: Self) -> Bool { a.milliseconds < b.milliseconds }

    /// Saturates: sums of client-given spans must not trap.
    package static func + (time: Self, milliseconds: Int) -> Timestamp {
        let (sum, overflow) = time.milliseconds.addingReportingOverflow(milliseconds)
        return Timestamp(milliseconds: overflow ? .max : sum)
    }

    /// Milliseconds from `b` to `a`.
    package static func - (a: Self, b: Self) -> Int { a.milliseconds - b.milliseconds }
}
