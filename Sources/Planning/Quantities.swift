/// Numbers as people read them.
package enum QuantityText {
    /// "1.5 GiB".
    package static func bytes(_ count: Int) -> String {
        let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
        for (size, name) in units where count >= size { return "\(tenths(Double(count) / Double(size))) \(name)" }
        return "\(count) B"
    }

    /// "3.4 T", "54.1 G", "135 M": with the decimal prefix.
    package static func decimal(_ value: Double) -> String {
        for (size, name) in [(1e15, " P"), (1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")] where value >= size {
            return "\(tenths(value / size))\(name)"
        }
        return "\(tenths(value)) "
    }

    /// Whole numbers from 100 on, one digit after the point below.
    package static func tenths(_ value: Double) -> String {
        guard value.isFinite, value.magnitude < 1e15 else { return "\(value)" }
        if value >= 100 { return String(Int(value.rounded())) }
        return "\((value * 10).rounded() / 10)"
    }
}
