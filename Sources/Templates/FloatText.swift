/// Doubles as text, digit for digit as Python writes them.
enum FloatText {
    /// Decimal digits of a magnitude: 0.d₁d₂d₃… × 10^point.
    struct Digits {
        var digits: [UInt8]
        var point: Int

        /// The exact value of a finite double.
        init(exactly value: Double) {
            let magnitude = value.magnitude
            guard magnitude > 0 else {
                digits = []
                point = 0
                return
            }
            let exponent = magnitude.isNormal ? Int(magnitude.exponentBitPattern) - 1075 : -1074
            let bits = magnitude.significandBitPattern | (magnitude.isNormal ? 1 << 52 : 0)
            let significand = BigInt(Int(bits))
            // m × 2^-k = m × 5^k / 10^k
            let whole = exponent >= 0 ? significand.shiftedLeft(exponent) : significand * BigInt(5).power(-exponent)
            digits = whole.text().utf8.map { $0 - 48 }
            point = digits.count + min(exponent, 0)
        }

        /// Rounded, half to even, to digits after the decimal point.
        mutating func round(toPlaces places: Int) {
            let kept = point.addingReportingOverflow(places).partialValue
            if kept < 0 {
                digits = []
                point = -places
                return
            }
            round(toCount: kept)
        }

        mutating func round(toCount count: Int) {
            guard count < digits.count else { return }
            let next = digits[count]
            let isTie = next == 5 && digits[(count + 1)...].allSatisfy { $0 == 0 }
            let isUp = isTie ? count > 0 && digits[count - 1] & 1 == 1 : next >= 5
            digits.removeSubrange(count...)
            guard isUp else { return }
            var index = count - 1
            while index >= 0, digits[index] == 9 {
                digits[index] = 0
                index -= 1
            }
            if index >= 0 {
                digits[index] += 1
            } else {
                digits.insert(1, at: 0)
                point += 1
            }
        }

        func digit(_ place: Int) -> UInt8 { place >= 0 && place < digits.count ? digits[place] + 48 : 48 }

        /// `places` digits after the point, which are there already.
        func fixed(places: Int) -> String {
            var bytes: [UInt8] = []
            if point <= 0 { bytes.append(48) } else { for place in 0..<point { bytes.append(digit(place)) } }
            if places > 0 {
                bytes.append(UInt8(ascii: "."))
                for place in point..<point + places { bytes.append(digit(place)) }
            }
            return String(decoding: bytes, as: UTF8.self)
        }

        func scientific(places: Int, letter: String) -> String {
            var bytes = [digit(0)]
            if places > 0 {
                bytes.append(UInt8(ascii: "."))
                for place in 1...places { bytes.append(digit(place)) }
            }
            return String(decoding: bytes, as: UTF8.self) + FloatText.exponent(digits.isEmpty ? 0 : point - 1, letter)
        }
    }

    static func exponent(_ value: Int, _ letter: String = "e") -> String {
        let digits = String(value.magnitude)
        return "\(letter)\(value < 0 ? "-" : "+")\(digits.utf8.count < 2 ? "0" : "")\(digits)"
    }

    /// Python's `repr`: the shortest digits that read back, an exponent below 1e-4 and from 1e16 on.
    static func shortest(_ value: Double) -> String {
        guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
        if value == 0 { return value.sign == .minus ? "-0.0" : "0.0" }
        var digits: [UInt8] = [], point = 0, seenPoint = false, exponent = 0
        var bytes = Array(value.magnitude.description.utf8)
        if let mark = bytes.firstIndex(of: UInt8(ascii: "e")) {
            exponent = Int(String(bytes[(mark + 1)...])) ?? 0
            bytes.removeSubrange(mark...)
        }
        for byte in bytes {
            if byte == UInt8(ascii: ".") {
                seenPoint = true
            } else {
                digits.append(byte - 48)
                if !seenPoint { point += 1 }
            }
        }
        point += exponent
        while digits.first == 0 {
            digits.removeFirst()
            point -= 1
        }
        while digits.last == 0 { digits.removeLast() }
        var parts = Digits(exactly: 0)
        parts.digits = digits
        parts.point = point
        let sign = value < 0 ? "-" : ""
        if point > 16 || point < -3 { return sign + parts.scientific(places: digits.count - 1, letter: "e") }
        return sign + parts.fixed(places: max(1, digits.count - point))
    }
}
