/// Figures as people read them, without Foundation's formatters.
package enum ProgressFormat {
    /// `999 B`, `1.2 kB`, `38 MB`: decimal prefixes as the hub's pages show, two digits below ten.
    package static func bytes(_ count: Int) -> String {
        let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
        var value = Double(max(0, count)), unit = 0
        while value >= 999.5, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        return unit == 0 ? "\(max(0, count)) B" : "\(oneDecimalBelowTen(value)) \(units[unit])"
    }

    package static func amount(_ count: Int, _ unit: ProgressUnit) -> String {
        switch unit {
        case .bytes: bytes(count)
        case .items: "\(count)"
        }
    }

    /// `38 MB/s`, `4.2 layers/s`.
    package static func rate(_ perSecond: Double, _ unit: ProgressUnit) -> String {
        guard perSecond.isFinite, perSecond >= 0 else { return "-" }
        switch unit {
        case .bytes: return bytes(perSecond < 9e18 ? Int(perSecond) : Int.max) + "/s"
        case .items(let name): return oneDecimalBelowTen(min(perSecond, 9e15)) + " \(name)/s"
        }
    }

    /// `0:07`, `12:34`, `1:02:03`; whole seconds.
    package static func duration(seconds: Double) -> String {
        guard seconds.isFinite, seconds >= 0, seconds < 3_600_000 else { return "-" }
        let whole = Int(seconds.rounded())
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
        return hours > 0 ? "\(hours):\(two(minutes)):\(two(rest))" : "\(minutes):\(two(rest))"
    }

    /// Cut in the middle so that both the beginning and the telling end of a file name stay; exactly as long as asked or shorter.
    package static func shortened(_ text: String, to width: Int) -> String {
        guard text.count > width else { return text }
        guard width > 1 else { return String(text.prefix(max(0, width))) }
        let tail = (width - 1) * 2 / 3
        return text.prefix(width - 1 - tail) + "…" + text.suffix(tail)
    }

    /// `text` with what could move the cursor or colour the terminal taken out: names come from servers.
    package static func printable(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { scalar in
            scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) ? "\u{FFFD}" : scalar
        }))
    }

    private static func oneDecimalBelowTen(_ value: Double) -> String {
        guard value < 9.95 else { return "\(Int(value.rounded()))" }
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
