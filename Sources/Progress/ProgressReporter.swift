/// What a piece of long work counts, for the figures beside its bar.
package enum ProgressUnit: Sendable, Equatable {
    /// Printed with decimal prefixes (`1.5 MB`).
    case bytes
    /// Things by name, in the plural: `layers`, `requests`.
    case items(String)
}

/// How a piece of work ended.
package enum ProgressOutcome: Sendable, Equatable {
    case done
    /// Nothing had to be done, as for a file that another process brought meanwhile.
    case skipped
    case failed(String)
    /// Ended by others (cancelled), through no fault of its own.
    case stopped
}

/// Handle of one piece of work within one reporter.
package struct ProgressItem: Hashable, Sendable {
    package let id: Int

    package init(id: Int) { self.id = id }
}

/// Where long work (downloads, loading weights, benchmarks) says how far it is. Every call may come from any thread and returns
/// at once; an unknown or finished item is ignored.
package protocol ProgressReporter: Sendable {
    /// Announces how much all the work together is, for the total's bar. Without it the total is the sum of what was begun.
    func plan(_ title: String, total: Int, unit: ProgressUnit)

    /// Opens one bar. `done` is what an earlier run already brought: it counts as done but not towards the speed.
    func begin(_ name: String, total: Int?, done: Int, unit: ProgressUnit) -> ProgressItem

    func advance(_ item: ProgressItem, by amount: Int)

    /// Puts an item at an absolute place, also backwards (a transfer that had to start again).
    func move(_ item: ProgressItem, to done: Int)

    func finish(_ item: ProgressItem, _ outcome: ProgressOutcome)

    /// One line for the reader (a retry, a fallback) that must not be painted over by bars.
    func note(_ message: String)

    /// Takes down the bars and prints the summary. A plan made afterwards starts afresh.
    func close()
}

extension ProgressReporter {
    package func begin(_ name: String, total: Int?, unit: ProgressUnit = .bytes) -> ProgressItem {
        begin(name, total: total, done: 0, unit: unit)
    }
}

/// Says nothing: `--quiet`, tests, callers without a terminal of their own.
package struct SilentProgress: ProgressReporter {
    package init() {}
    package func plan(_ title: String, total: Int, unit: ProgressUnit) {}
    package func begin(_ name: String, total: Int?, done: Int, unit: ProgressUnit) -> ProgressItem { ProgressItem(id: 0) }
    package func advance(_ item: ProgressItem, by amount: Int) {}
    package func move(_ item: ProgressItem, to done: Int) {}
    package func finish(_ item: ProgressItem, _ outcome: ProgressOutcome) {}
    package func note(_ message: String) {}
    package func close() {}
}
