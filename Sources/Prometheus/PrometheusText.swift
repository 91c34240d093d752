/// Writes Prometheus's text format, version 0.0.4.
package struct PrometheusText: Sendable {
    package private(set) var bytes: [UInt8] = []
    /// Put on every sample, such as `model_name="m",engine="0"`.
    private let common: String

    package init(labels: [(String, String)]) {
        common = Self.join(labels)
        bytes.reserveCapacity(16 << 10)
    }

    package enum Kind: String { case counter, gauge, histogram }

    package mutating func describe(_ name: String, _ kind: Kind, _ help: String) {
        raw("# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n")
    }

    /// One metric with one sample.
    package mutating func gauge(_ name: String, _ value: Double, _ help: String) {
        describe(name, .gauge, help)
        sample(name, [], value)
    }

    /// One metric with one sample; `_total` is appended to the name.
    package mutating func counter(_ name: String, _ value: UInt64, _ help: String) {
        describe("\(name)_total", .counter, help)
        sample("\(name)_total", [], Double(value))
    }

    package mutating func histogram(_ name: String, _ histogram: Histogram, _ help: String) {
        describe(name, .histogram, help)
        samples(name, histogram, [])
    }

    package mutating func samples(_ name: String, _ histogram: Histogram, _ labels: [(String, String)]) {
        var cumulative: UInt64 = 0
        for (index, count) in histogram.counts.enumerated() {
            cumulative += count
            let bound = index < histogram.bounds.count ? Self.number(histogram.bounds[index]) : "+Inf"
            sample("\(name)_bucket", labels + [("le", bound)], Double(cumulative))
        }
        sample("\(name)_sum", labels, histogram.sum)
        sample("\(name)_count", labels, Double(histogram.count))
    }

    package mutating func sample(_ name: String, _ labels: [(String, String)], _ value: Double) {
        raw(name)
        let own = Self.join(labels)
        if !own.isEmpty || !common.isEmpty { raw("{\(common)\(common.isEmpty || own.isEmpty ? "" : ",")\(own)}") }
        raw(" \(Self.number(value))\n")
    }

    private mutating func raw(_ text: String) { bytes.append(contentsOf: text.utf8) }

    /// As Prometheus's own clients write numbers: `1.0`, `0.005`, `+Inf`.
    private static func number(_ value: Double) -> String {
        value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Inf" : "+Inf") : value.description
    }

    private static func join(_ labels: [(String, String)]) -> String {
        labels.map { "\($0)=\"\(escape($1))\"" }.joined(separator: ",")
    }

    private static func escape(_ value: String) -> String {
        var result = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
