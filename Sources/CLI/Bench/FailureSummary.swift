/// Failures by message, most frequent first.
package enum FailureSummary {
    package static func lines(_ records: [RequestRecord], limit: Int = 5) -> [String] {
        var counts: [String: Int] = [:], order: [String] = []
        for record in records {
            guard let error = record.error else { continue }
            if counts[error] == nil { order.append(error) }
            counts[error, default: 0] += 1
        }
        let sorted = order.enumerated().sorted { (counts[$0.element] ?? 0, -$0.offset) > (counts[$1.element] ?? 0, -$1.offset) }
        let lines = sorted.prefix(limit).map { "\(counts[$0.element] ?? 0) × \($0.element)" }
        return order.count > limit ? lines + ["… and \(order.count - limit) other messages"] : lines
    }
}
