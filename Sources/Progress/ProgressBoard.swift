/// The bars as a value: what is running, how fast, and the lines that show it. No clock and no terminal inside; the caller passes
/// the time in seconds, so tests drive it.
package struct ProgressBoard: Sendable {
    package struct Row: Sendable {
        package let id: Int
        package let name: String
        package let unit: ProgressUnit
        package let total: Int?
        package let startedAt: Double
        package fileprivate(set) var done: Int
        /// What counts for speed: units moved since the row began, without what was there before.
        fileprivate(set) var moved = 0
    }

    package private(set) var rows: [Row] = []
    package private(set) var unit: ProgressUnit = .bytes
    private var title = "total"
    private var planned: Int?
    private var begunTotal = 0
    private var finishedUnits = 0
    private var finishedMoved = 0
    private var finishedCount = 0
    private var failedCount = 0
    private var startedAt: Double?
    private var nextID = 1
    private var samples: [(time: Double, moved: Int)] = []

    /// Speed is averaged over this long, in seconds, so that it follows a changing line without flickering.
    private static let speedWindow = 8.0

    package init() {}

    package var isIdle: Bool { startedAt == nil }

    package mutating func plan(_ title: String, total: Int, unit: ProgressUnit, now: Double) {
        self.title = ProgressFormat.printable(title)
        self.unit = unit
        planned = max(0, total)
        startedAt = startedAt ?? now
    }

    package mutating func begin(_ name: String, total: Int?, done: Int, unit: ProgressUnit, now: Double) -> ProgressItem {
        let id = nextID
        nextID += 1
        if startedAt == nil {
            startedAt = now
            self.unit = unit
        }
        begunTotal += max(0, total ?? 0)
        rows.append(Row(
            id: id, name: ProgressFormat.printable(name), unit: unit, total: total, startedAt: now, done: max(0, done)))
        return ProgressItem(id: id)
    }

    package mutating func advance(_ item: ProgressItem, by amount: Int, now: Double) {
        guard let index = rows.firstIndex(where: { $0.id == item.id }) else { return }
        rows[index].done += amount
        rows[index].moved += max(0, amount)
        sample(now)
    }

    package mutating func move(_ item: ProgressItem, to done: Int, now: Double) {
        guard let index = rows.firstIndex(where: { $0.id == item.id }) else { return }
        rows[index].done = max(0, done)
        sample(now)
    }

    /// Takes the row off the board and gives the line that remembers it.
    package mutating func finish(_ item: ProgressItem, _ outcome: ProgressOutcome, now: Double) -> String? {
        guard let index = rows.firstIndex(where: { $0.id == item.id }) else { return nil }
        let row = rows.remove(at: index)
        finishedMoved += row.moved
        let seconds = now - row.startedAt
        switch outcome {
        case .done:
            finishedUnits += row.total ?? row.done
            finishedCount += 1
            let speed = row.moved > 0 && seconds > 0.5 ? ", \(ProgressFormat.rate(Double(row.moved) / seconds, row.unit))" : ""
            return "\(row.name): \(ProgressFormat.amount(row.done, row.unit)) in \(ProgressFormat.duration(seconds: seconds))\(speed)"
        case .skipped:
            finishedUnits += row.total ?? row.done
            finishedCount += 1
            return "\(row.name): already there"
        case .stopped:
            return "\(row.name): stopped at \(ProgressFormat.amount(row.done, row.unit))"
        case .failed(let reason):
            failedCount += 1
            return "\(row.name): failed: \(ProgressFormat.printable(reason))"
        }
    }

    package var done: Int { rows.reduce(finishedUnits) { $0 + $1.done } }
    package var total: Int { max(planned ?? begunTotal, done) }

    /// Units a second over the last seconds.
    package func speed(now: Double) -> Double {
        guard let first = samples.first(where: { now - $0.time <= Self.speedWindow }), now - first.time > 0.05 else { return 0 }
        return Double(moved - first.moved) / (now - first.time)
    }

    /// One line a running row and one for everything, none longer than `width`.
    package func lines(width: Int, now: Double, color: Bool) -> [String] {
        let label = min(36, max(10, width / 3))
        var lines = rows.map { row in
            let seconds = now - row.startedAt
            let rate = seconds > 0.2 ? Double(row.moved) / seconds : 0
            return line(row.name, row.done, row.total, rate, row.unit, label: label, width: width, color: color ? "36" : nil)
        }
        if startedAt != nil {
            lines.append(line(title, done, total, speed(now: now), unit, label: label, width: width, color: color ? "32" : nil))
        }
        return lines
    }

    /// The one line that a log gets now and then.
    package func plainLine(now: Double) -> String {
        let percent = total > 0 ? " (\(percentage(done, total))%)" : ""
        let running = rows.isEmpty ? "" : ", \(rows.count) running"
        return "\(title): \(ProgressFormat.amount(done, unit)) of \(ProgressFormat.amount(total, unit))\(percent), "
            + "\(ProgressFormat.rate(speed(now: now), unit)), \(left(done, total, speed(now: now))) left\(running)"
    }

    /// What `close` prints; nil if nothing ran.
    package func summary(now: Double) -> String? {
        guard let startedAt, finishedCount + failedCount > 0 else { return nil }
        let failed = failedCount > 0 ? ", \(failedCount) failed" : ""
        return "\(title): \(ProgressFormat.amount(done, unit)) in \(ProgressFormat.duration(seconds: now - startedAt))\(failed)"
    }

    private var moved: Int { rows.reduce(finishedMoved) { $0 + $1.moved } }

    private mutating func sample(_ now: Double) {
        if let last = samples.last, now - last.time < 0.25 { return }
        samples.append((now, moved))
        samples.removeAll { now - $0.time > Self.speedWindow }
    }

    private func line(
        _ name: String, _ done: Int, _ total: Int?, _ rate: Double, _ unit: ProgressUnit, label: Int, width: Int, color: String?
    ) -> String {
        let short = ProgressFormat.shortened(name, to: label)
        let head = short + String(repeating: " ", count: max(0, label - short.count))
        guard let total, total > 0 else {
            return String("\(head) \(ProgressFormat.amount(done, unit)) \(ProgressFormat.rate(rate, unit))".prefix(width))
        }
        let percent = percentage(done, total)
        let tail = " \(percent < 10 ? "  " : percent < 100 ? " " : "")\(percent)% \(ProgressFormat.amount(done, unit))/"
            + "\(ProgressFormat.amount(total, unit)) \(ProgressFormat.rate(rate, unit)) \(left(done, total, rate))"
        let room = width - head.count - tail.count - 1
        guard room >= 5 else { return String((head + tail).prefix(width)) }
        let filled = min(room, Int(Double(room) * min(1, Double(done) / Double(total))))
        let full = String(repeating: "━", count: filled), empty = String(repeating: color == nil ? "·" : "━", count: room - filled)
        guard let color else { return "\(head) \(full)\(empty)\(tail)" }
        return "\(head) \u{1B}[\(color)m\(full)\u{1B}[90m\(empty)\u{1B}[0m\(tail)"
    }

    private func percentage(_ done: Int, _ total: Int) -> Int {
        Int(min(100, max(0, Double(done) / Double(total) * 100)))
    }

    private func left(_ done: Int, _ total: Int, _ rate: Double) -> String {
        done >= total ? "0:00" : rate > 0 ? ProgressFormat.duration(seconds: Double(total - done) / rate) : "-"
    }
}
