/// Decompositions, compositions and combining classes, unpacked from the generated data on first use.
final class NormalizationTables: Sendable {
    static let shared = NormalizationTables()

    /// Bits by scalar: may change under NFD (1), NFKD (2), NFC (4), NFKC (8); has a canonical (16), any (32) decomposition.
    let flags: Storage<UInt8>
    let canonical: [UInt32: [UInt32]]
    let compatible: [UInt32: [UInt32]]
    private let classes: Storage<UInt8>
    private let compositions: [UInt64: UInt32]

    private init() {
        flags = Storage(repeating: 0, count: 0x110000)
        classes = Storage(repeating: 0, count: 0x110000)
        var excluded: Set<UInt32> = []
        canonical = Self.read(DecompositionData.canonical, excluded: &excluded)
        var unused: Set<UInt32> = []
        compatible = Self.read(CompatibilityData.compatible, excluded: &unused)

        var reader = DataReader(DecompositionData.combiningClasses), position = 0, current = 0
        while let step = reader.number(), let next = reader.number() {
            if current != 0 { for scalar in position..<position + step { classes.base[scalar] = UInt8(truncatingIfNeeded: current) } }
            position += step
            current = next
        }

        // The data holds full decompositions; a composition joins a scalar with what its decomposition lacks at the end.
        var whole: [[UInt32]: UInt32] = [:]
        for (scalar, parts) in canonical where !excluded.contains(scalar) { whole[parts] = scalar }
        var compositions: [UInt64: UInt32] = [:]
        for (scalar, parts) in canonical where !excluded.contains(scalar) && parts.count >= 2 {
            guard let last = parts.last else { continue }
            let head = Array(parts.dropLast())
            guard let first = head.count == 1 ? head[0] : whole[head] else { continue }
            compositions[UInt64(first) << 32 | UInt64(last)] = scalar
            flags.base[Int(last)] |= 4 | 8
        }
        self.compositions = compositions
        for scalar in 0..<0x110000 where classes[scalar] != 0 { flags.base[scalar] |= 15 }
        for scalar in canonical.keys {
            flags.base[Int(scalar)] |= 1 | 2 | 16 | 32
            if excluded.contains(scalar) { flags.base[Int(scalar)] |= 4 | 8 }
        }
        for scalar in compatible.keys { flags.base[Int(scalar)] |= 2 | 8 | 32 }
        for scalar in 0xAC00..<0xD7A4 { flags.base[scalar] |= 1 | 2 }
        for scalar in 0x1161..<0x1176 { flags.base[scalar] |= 4 | 8 }
        for scalar in 0x11A8..<0x11C3 { flags.base[scalar] |= 4 | 8 }
    }

    private static func read(_ data: StaticString, excluded: inout Set<UInt32>) -> [UInt32: [UInt32]] {
        var reader = DataReader(data), scalar = 0
        var table: [UInt32: [UInt32]] = [:]
        while let step = reader.number() {
            scalar += step
            if reader.stop == UInt8(ascii: "!") { excluded.insert(UInt32(scalar)) }
            var parts: [UInt32] = []
            while let part = reader.number() {
                parts.append(UInt32(part))
                if reader.stop != UInt8(ascii: ".") { break }
            }
            table[UInt32(scalar)] = parts
        }
        return table
    }

    @inline(__always) func combiningClass(_ scalar: UInt32) -> UInt8 { classes[Int(scalar)] }

    @inline(__always) func compose(_ first: UInt32, _ second: UInt32) -> UInt32? {
        if 0x1100..<0x1113 ~= first, 0x1161..<0x1176 ~= second { return 0xAC00 + ((first - 0x1100) * 21 + second - 0x1161) * 28 }
        if 0xAC00..<0xD7A4 ~= first, (first - 0xAC00) % 28 == 0, 0x11A8..<0x11C3 ~= second { return first + second - 0x11A7 }
        guard flags[Int(second)] & 4 != 0 else { return nil }
        return compositions[UInt64(first) << 32 | UInt64(second)]
    }
}
