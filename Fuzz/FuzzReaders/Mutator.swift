/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, the same everywhere.
package struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Damages valid files: a few random edits each, chosen to hit lengths, counts, offsets and JSON text.
package struct Mutator: Sendable {
    private var random: SplitMix64
    /// Texts to splice in.
    private let dictionary: [[UInt8]]

    private static let maxByteCount = 1 << 16
    private static let interesting: [UInt64] = [
        0, 1, 2, 3, 4, 7, 8, 16, 31, 32, 64, 127, 128, 255, 256, 32767, 65535, 65536, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, 1 << 40,
        1 << 61, 1 << 62, (1 << 63) - 1, 1 << 63, UInt64.max - 7, UInt64.max - 1, UInt64.max,
    ]

    package init(seed: UInt64, dictionary: [String]) {
        random = SplitMix64(seed: seed)
        self.dictionary = dictionary.map { Array($0.utf8) }
    }

    package mutating func mutate(_ original: [UInt8], other: [UInt8]) -> [UInt8] {
        var bytes = original
        for _ in 0..<Int.random(in: 1...4, using: &random) { edit(&bytes, other) }
        if bytes.count > Self.maxByteCount { bytes.removeLast(bytes.count - Self.maxByteCount) }
        return bytes
    }

    private mutating func edit(_ bytes: inout [UInt8], _ other: [UInt8]) {
        guard !bytes.isEmpty else { return bytes = other }
        let place = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<12, using: &random) {
        case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
        case 2: overwrite(&bytes, place & ~3, 8)
        case 3: overwrite(&bytes, place, 8)
        case 4: overwrite(&bytes, place, 4)
        case 5: nudgeDigit(&bytes, place)
        case 6: bytes.removeSubrange(range(place, bytes.count))
        case 7: bytes.insert(contentsOf: bytes[range(place, bytes.count)], at: place)
        case 8: bytes.removeLast(bytes.count - place)
        case 9:
            if let text = dictionary.randomElement(using: &random) {
                bytes.replaceSubrange(range(place, bytes.count).prefix(text.count), with: text)
            }
        case 10:
            if let text = dictionary.randomElement(using: &random) { bytes.insert(contentsOf: text, at: place) }
        default:
            guard !other.isEmpty else { return }
            let from = Int.random(in: 0..<other.count, using: &random)
            bytes.replaceSubrange(range(place, bytes.count), with: other[range(from, other.count)])
        }
    }

    private mutating func range(_ start: Int, _ end: Int) -> Range<Int> {
        start..<min(end, start + Int.random(in: 1...32, using: &random))
    }

    /// A little-endian integer of interest over what is there, or what is there plus or minus a little.
    private mutating func overwrite(_ bytes: inout [UInt8], _ place: Int, _ size: Int) {
        guard place + size <= bytes.count else { return }
        var value: UInt64 = 0
        for index in (0..<size).reversed() { value = value << 8 | UInt64(bytes[place + index]) }
        if Bool.random(using: &random) {
            value = Self.interesting.randomElement(using: &random) ?? 0
        } else {
            value = value &+ UInt64(bitPattern: Int64.random(in: -33...33, using: &random))
        }
        for index in 0..<size { bytes[place + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index))) }
    }

    /// Changes the next decimal digit: offsets and shapes in JSON.
    private mutating func nudgeDigit(_ bytes: inout [UInt8], _ place: Int) {
        guard let digit = bytes[place...].firstIndex(where: { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else { return }
        bytes[digit] = UInt8.random(in: UInt8(ascii: "0")...UInt8(ascii: "9"), using: &random)
    }
}
