extension BigInt {
    /// Quotient and remainder of the magnitudes; the divisor is not zero. Long division, 32 bits a step (Knuth's algorithm D).
    static func divideMagnitudes(_ a: [UInt32], _ b: [UInt32]) -> (quotient: [UInt32], remainder: [UInt32]) {
        if compareMagnitudes(a, b) < 0 { return ([], a) }
        if b.count == 1 {
            var quotient = a
            var rest: UInt64 = 0
            for index in a.indices.reversed() {
                let value = rest << 32 | UInt64(a[index])
                quotient[index] = UInt32(value / UInt64(b[0]))
                rest = value % UInt64(b[0])
            }
            return (quotient, [UInt32(rest)])
        }
        // Normalised so that the divisor's top bit is set: the guessed digit is then at most two too large.
        let shift = b[b.count - 1].leadingZeroBitCount
        let divisor = BigInt(negative: false, limbs: b).shiftedLeft(shift).limbs
        var rest = BigInt(negative: false, limbs: a).shiftedLeft(shift).limbs
        while rest.count <= a.count { rest.append(0) }
        let n = divisor.count
        var quotient = [UInt32](repeating: 0, count: rest.count - n)
        let top = UInt64(divisor[n - 1]), next = UInt64(divisor[n - 2])
        for place in quotient.indices.reversed() {
            let head = UInt64(rest[place + n]) << 32 | UInt64(rest[place + n - 1])
            var digit = head / top, left = head % top
            while digit >> 32 != 0 || digit * next > (left << 32 | UInt64(rest[place + n - 2])) {
                digit -= 1
                left += top
                if left >> 32 != 0 { break }
            }
            var borrow: Int64 = 0, carry: UInt64 = 0
            for index in 0..<n {
                let product = digit * UInt64(divisor[index]) + carry
                carry = product >> 32
                let value = Int64(rest[place + index]) - borrow - Int64(product & 0xFFFF_FFFF)
                rest[place + index] = UInt32(truncatingIfNeeded: value)
                borrow = value < 0 ? 1 : 0
            }
            let value = Int64(rest[place + n]) - borrow - Int64(carry)
            rest[place + n] = UInt32(truncatingIfNeeded: value)
            if value < 0 {
                digit -= 1
                var carry: UInt64 = 0
                for index in 0..<n {
                    let sum = UInt64(rest[place + index]) + UInt64(divisor[index]) + carry
                    rest[place + index] = UInt32(truncatingIfNeeded: sum)
                    carry = sum >> 32
                }
                rest[place + n] = rest[place + n] &+ UInt32(carry)
            }
            quotient[place] = UInt32(digit)
        }
        // Undo the normalising shift.
        var remainder = [UInt32](repeating: 0, count: n)
        for index in 0..<n {
            let wide = UInt64(rest[index]) | (index + 1 < rest.count ? UInt64(rest[index + 1]) << 32 : 0)
            remainder[index] = UInt32(truncatingIfNeeded: wide >> UInt64(shift))
        }
        return (quotient, remainder)
    }

    /// Python's `divmod`: the quotient is rounded down, the remainder has the divisor's sign. The divisor is not zero.
    static func floorDivide(_ a: BigInt, _ b: BigInt) -> (quotient: BigInt, remainder: BigInt) {
        let (q, r) = divideMagnitudes(a.limbs, b.limbs)
        var quotient = BigInt(negative: a.negative != b.negative, limbs: q)
        var remainder = BigInt(negative: a.negative, limbs: r)
        if !remainder.isZero, a.negative != b.negative {
            quotient = quotient - BigInt(1)
            remainder = remainder + b
        }
        return (quotient, remainder)
    }

    func power(_ exponent: Int) -> BigInt {
        var result = BigInt(1), base = self, rest = exponent
        while rest > 0 {
            if rest & 1 == 1 { result = result * base }
            rest >>= 1
            if rest > 0 { base = base * base }
        }
        return result
    }

    /// Digits of a radix from 2 to 16, with a minus sign where negative.
    func text(radix: UInt32 = 10) -> String {
        if isZero { return "0" }
        var digits: [UInt8] = [], rest = limbs
        // As many digits a division as fit 32 bits.
        var chunk = radix, width = 1
        while UInt64(chunk) * UInt64(radix) <= UInt64(UInt32.max) { chunk *= radix; width += 1 }
        while !rest.isEmpty {
            var (quotient, remainder) = Self.divideMagnitudes(rest, [chunk])
            while quotient.last == 0 { quotient.removeLast() }
            if rest.count == 1, rest[0] < chunk { (quotient, remainder) = ([], rest) }
            var value = remainder[0]
            for _ in 0..<width {
                digits.append(UInt8(truncatingIfNeeded: value % radix))
                value /= radix
            }
            rest = quotient
        }
        while digits.last == 0 { digits.removeLast() }
        if negative { digits.append(255) }
        return String(decoding: digits.reversed().map { $0 == 255 ? 45 : $0 < 10 ? 48 + $0 : 87 + $0 }, as: UTF8.self)
    }

    /// The nearest double, ties to even; infinite where out of range.
    var double: Double {
        let bits = bitCount
        if bits <= 63, let small { return Double(small) }
        if bits > 1024 { return negative ? -.infinity : .infinity }
        // Keep 64 bits, and remember in the lowest whether any dropped bit was set.
        let drop = bits - 64
        var head: UInt64 = 0, sticky = false
        for index in limbs.indices {
            for half in [0, 16] {
                let piece = UInt64(limbs[index] >> UInt32(half)) & 0xFFFF
                let place = index * 32 + half - drop
                if place >= 0 {
                    head |= piece << UInt64(place)
                } else if place > -16 {
                    head |= piece >> UInt64(-place)
                    if piece & ((1 << UInt64(-place)) - 1) != 0 { sticky = true }
                } else if piece != 0 {
                    sticky = true
                }
            }
        }
        if sticky { head |= 1 }
        // `head` has its top bit set, so rounding it to a double sees 11 dropped bits with the sticky one among them.
        let magnitude = Double(sign: .plus, exponent: drop, significand: Double(head))
        return negative ? -magnitude : magnitude
    }
}
