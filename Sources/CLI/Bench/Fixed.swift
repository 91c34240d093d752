/// Numbers with a fixed count of decimals, as `printf("%.2f")` writes them up to 15 digits, without Foundation.
package enum Fixed {
    /// Ties of the decimal expansion go to the even digit of the scaled value. NaN and infinities as Python prints them.
    package static func text(_ value: Double, _ decimals: Int) -> String {
        guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
        var scale = 1.0
        for _ in 0..<decimals { scale *= 10 }
        let scaled = (value.magnitude * scale).rounded(.toNearestOrEven)
        guard scaled < 9e18 else { return value.description }
        let sign = value.sign == .minus && scaled > 0 ? "-" : ""
        var digits = String(Int(scaled))
        guard decimals > 0 else { return sign + digits }
        if digits.count <= decimals { digits = String(repeating: "0", count: decimals + 1 - digits.count) + digits }
        return sign + digits.dropLast(decimals) + "." + digits.suffix(decimals)
    }
}
