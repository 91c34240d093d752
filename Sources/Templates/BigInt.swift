/// Integers beyond 64 bits, as Python has them. Small and plain: templates meet such numbers in tool arguments, not in mathematics.
struct BigInt: Sendable, Equatable {
    var negative: Bool
    /// Little endian, without leading zeros; zero is empty and never negative.
    var limbs: [UInt32]

    init(negative: Bool, limbs: [UInt32]) {
        var limbs = limbs
        while limbs.last == 0 { limbs.removeLast() }
        self.limbs = limbs
        self.negative = negative && !limbs.isEmpty
    }

    init(_ value: Int) {
        let magnitude = value.magnitude
        self.init(negative: value < 0, limbs: [UInt32(truncatingIfNeeded: magnitude), UInt32(truncatingIfNeeded: magnitude >> 32)])
    }

    /// The whole part of a finite double.
    init(truncating value: Double) {
        guard value.magnitude >= 1 else { self.init(0); return }
        let shift = Int(value.exponent) - 52
        let significand = BigInt(Int(value.significandBitPattern | 1 << 52))
        let magnitude = shift >= 0 ? significand.shiftedLeft(shift) : BigInt(Int((value.significandBitPattern | 1 << 52) >> UInt64(-shift)))
        self.init(negative: value < 0, limbs: magnitude.limbs)
    }

    /// ASCII digits of a radix up to 36, no sign; nil where a byte is no digit or there is none.
    init?(digits: some Collection<UInt8>, radix: UInt32 = 10) {
        guard !digits.isEmpty else { return nil }
        var limbs: [UInt32] = []
        for byte in digits {
            let digit: UInt32
            switch byte {
            case 48...57: digit = UInt32(byte - 48)
            case 65...90: digit = UInt32(byte - 55)
            case 97...122: digit = UInt32(byte - 87)
            default: return nil
            }
            guard digit < radix else { return nil }
            var carry = UInt64(digit)
            for index in limbs.indices {
                let value = UInt64(limbs[index]) * UInt64(radix) + carry
                limbs[index] = UInt32(truncatingIfNeeded: value)
                carry = value >> 32
            }
            if carry > 0 { limbs.append(UInt32(carry)) }
        }
        self.init(negative: false, limbs: limbs)
    }

    var isZero: Bool { limbs.isEmpty }
    var bitCount: Int { limbs.isEmpty ? 0 : limbs.count * 32 - limbs.last!.leadingZeroBitCount }

    /// The value as a machine integer, if it fits.
    var small: Int? {
        guard limbs.count <= 2 else { return nil }
        let low = limbs.count > 0 ? UInt(limbs[0]) : 0, high = limbs.count > 1 ? UInt(limbs[1]) : 0
        let magnitude = high << 32 | low
        if negative { return magnitude <= UInt(Int.max) + 1 ? Int(truncatingIfNeeded: 0 &- magnitude) : nil }
        return Int(exactly: magnitude)
    }

    var negated: BigInt { BigInt(negative: !negative, limbs: limbs) }

    static func compareMagnitudes(_ a: [UInt32], _ b: [UInt32]) -> Int {
        if a.count != b.count { return a.count < b.count ? -1 : 1 }
        for index in a.indices.reversed() where a[index] != b[index] { return a[index] < b[index] ? -1 : 1 }
        return 0
    }

    /// -1, 0 or 1.
    static func compare(_ a: BigInt, _ b: BigInt) -> Int {
        if a.negative != b.negative { return a.negative ? -1 : 1 }
        let order = compareMagnitudes(a.limbs, b.limbs)
        return a.negative ? -order : order
    }

    static func + (a: BigInt, b: BigInt) -> BigInt {
        if a.negative == b.negative { return BigInt(negative: a.negative, limbs: sum(a.limbs, b.limbs)) }
        let order = compareMagnitudes(a.limbs, b.limbs)
        if order == 0 { return BigInt(0) }
        return order > 0
            ? BigInt(negative: a.negative, limbs: difference(a.limbs, b.limbs))
            : BigInt(negative: b.negative, limbs: difference(b.limbs, a.limbs))
    }

    static func - (a: BigInt, b: BigInt) -> BigInt { a + b.negated }

    static func * (a: BigInt, b: BigInt) -> BigInt {
        guard !a.isZero, !b.isZero else { return BigInt(0) }
        var result = [UInt32](repeating: 0, count: a.limbs.count + b.limbs.count)
        for (i, x) in a.limbs.enumerated() {
            var carry: UInt64 = 0
            for (j, y) in b.limbs.enumerated() {
                let value = UInt64(x) * UInt64(y) + UInt64(result[i + j]) + carry
                result[i + j] = UInt32(truncatingIfNeeded: value)
                carry = value >> 32
            }
            result[i + b.limbs.count] = UInt32(carry)
        }
        return BigInt(negative: a.negative != b.negative, limbs: result)
    }

    func shiftedLeft(_ bits: Int) -> BigInt {
        let words = bits / 32, rest = UInt64(bits % 32)
        var result = [UInt32](repeating: 0, count: words)
        var carry: UInt64 = 0
        for limb in limbs {
            let value = UInt64(limb) << rest | carry
            result.append(UInt32(truncatingIfNeeded: value))
            carry = value >> 32
        }
        result.append(UInt32(carry))
        return BigInt(negative: negative, limbs: result)
    }

    private static func sum(_ a: [UInt32], _ b: [UInt32]) -> [UInt32] {
        var result: [UInt32] = []
        var carry: UInt64 = 0
        for index in 0..<max(a.count, b.count) {
            let value = UInt64(index < a.count ? a[index] : 0) + UInt64(index < b.count ? b[index] : 0) + carry
            result.append(UInt32(truncatingIfNeeded: value))
            carry = value >> 32
        }
        result.append(UInt32(carry))
        return result
    }

    /// a - b for a >= b.
    private static func difference(_ a: [UInt32], _ b: [UInt32]) -> [UInt32] {
        var result: [UInt32] = []
        var borrow: Int64 = 0
        for index in a.indices {
            var value = Int64(a[index]) - Int64(index < b.count ? b[index] : 0) - borrow
            borrow = value < 0 ? 1 : 0
            if value < 0 { value += 1 << 32 }
            result.append(UInt32(value))
        }
        return result
    }
}
