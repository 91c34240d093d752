/// Reading and writing scalars in text that is known to be valid UTF-8.
enum UTF8Text {
    /// Bytes of the character that begins with `lead`.
    @inline(__always) static func width(_ lead: UInt8) -> Int {
        lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
    }

    /// The scalar at `index`, which must be the start of a whole character.
    @inline(__always) static func scalar(_ bytes: UnsafePointer<UInt8>, _ index: Int) -> UInt32 {
        let lead = UInt32(bytes[index])
        if lead < 0x80 { return lead }
        let second = UInt32(bytes[index &+ 1] & 0x3F)
        if lead < 0xE0 { return (lead & 0x1F) << 6 | second }
        let third = UInt32(bytes[index &+ 2] & 0x3F)
        if lead < 0xF0 { return (lead & 0x0F) << 12 | second << 6 | third }
        return (lead & 0x07) << 18 | second << 12 | third << 6 | UInt32(bytes[index &+ 3] & 0x3F)
    }

    /// Start of the character that ends just before `index`.
    @inline(__always) static func previous(_ bytes: UnsafePointer<UInt8>, _ index: Int, from start: Int) -> Int {
        var place = index &- 1
        while place > start, bytes[place] & 0xC0 == 0x80 { place &-= 1 }
        return place
    }

    @inline(__always) static func size(_ scalar: UInt32) -> Int {
        scalar < 0x80 ? 1 : scalar < 0x800 ? 2 : scalar < 0x10000 ? 3 : 4
    }

    @inline(__always) static func append(_ scalar: UInt32, to output: inout [UInt8]) {
        if scalar < 0x80 {
            output.append(UInt8(truncatingIfNeeded: scalar))
        } else if scalar < 0x800 {
            output.append(UInt8(truncatingIfNeeded: 0xC0 | scalar >> 6))
            output.append(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3F))
        } else if scalar < 0x10000 {
            output.append(UInt8(truncatingIfNeeded: 0xE0 | scalar >> 12))
            output.append(UInt8(truncatingIfNeeded: 0x80 | scalar >> 6 & 0x3F))
            output.append(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3F))
        } else {
            output.append(UInt8(truncatingIfNeeded: 0xF0 | scalar >> 18))
            output.append(UInt8(truncatingIfNeeded: 0x80 | scalar >> 12 & 0x3F))
            output.append(UInt8(truncatingIfNeeded: 0x80 | scalar >> 6 & 0x3F))
            output.append(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3F))
        }
    }

    /// Length of the valid character at the start of `bytes`, or 0 where there is none; `unfinished` tells whether more bytes could
    /// still make one. `broken` is how many bytes Rust's and the Unicode standard's lossy decoding replace by one U+FFFD.
    @inline(__always)
    static func inspect(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> (size: Int, unfinished: Bool, broken: Int) {
        let lead = bytes[0]
        if lead < 0x80 { return (1, false, 0) }
        var low: UInt8 = 0x80, high: UInt8 = 0xBF
        let size: Int
        switch lead {
        case 0xC2...0xDF: size = 2
        case 0xE0: (size, low) = (3, 0xA0)
        case 0xED: (size, high) = (3, 0x9F)
        case 0xE1...0xEF: size = 3
        case 0xF0: (size, low) = (4, 0x90)
        case 0xF1...0xF3: size = 4
        case 0xF4: (size, high) = (4, 0x8F)
        default: return (0, false, 1)
        }
        var index = 1
        while index < size {
            if index >= count { return (0, true, index) }
            let byte = bytes[index]
            if byte < low || byte > high { return (0, false, index) }
            (low, high) = (0x80, 0xBF)
            index &+= 1
        }
        return (size, false, 0)
    }

    static func isValid(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let base = bytes.baseAddress else { return true }
        var index = 0
        while index < bytes.count {
            if base[index] < 0x80 {
                index &+= 1
                continue
            }
            let size = inspect(base + index, bytes.count - index).size
            if size == 0 { return false }
            index &+= size
        }
        return true
    }

    /// Whether every byte is below 0x80.
    @inline(__always) static func isASCII(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let base = bytes.baseAddress else { return true }
        let raw = UnsafeRawPointer(base)
        var index = 0
        while index &+ 8 <= bytes.count {
            if raw.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 != 0 { return false }
            index &+= 8
        }
        while index < bytes.count {
            if base[index] >= 0x80 { return false }
            index &+= 1
        }
        return true
    }
}
