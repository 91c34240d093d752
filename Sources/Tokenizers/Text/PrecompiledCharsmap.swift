/// SentencePiece's compiled character map: a double-array trie from byte strings to replacements.
///
/// Layout: a little-endian `UInt32` with the trie's size in bytes, the trie's units, then zero-terminated replacements.
final class PrecompiledCharsmap: Sendable {
    private let units: [UInt32]
    private let replacements: [UInt8]

    init(_ blob: [UInt8], part: String) throws(TokenizerError) {
        guard blob.count >= 4 else { throw .malformed(part: part, reason: "the character map is shorter than its header") }
        let size = blob[0..<4].enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
        guard size % 4 == 0, size <= blob.count - 4 else {
            throw .malformed(part: part, reason: "the character map claims \(size) bytes of trie, and there are \(blob.count - 4) bytes")
        }
        units = (0..<size / 4).map { index in
            let at = 4 + index * 4
            return UInt32(blob[at]) | UInt32(blob[at + 1]) << 8 | UInt32(blob[at + 2]) << 16 | UInt32(blob[at + 3]) << 24
        }
        replacements = Array(blob[(4 + size)...])
    }

    /// What stands for the first prefix of `key` that the map knows, as the reference takes it: the shortest prefix, for the whole key.
    func replacement(for key: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard let found = matches(key, longest: false) else { return nil }
        return text(at: found.value)
    }

    /// The longest prefix of `key` that the map knows and what stands for it (SentencePiece's own reading).
    func longestMatch(_ key: ArraySlice<UInt8>) -> (length: Int, replacement: ArraySlice<UInt8>)? {
        guard let found = matches(key, longest: true), let text = text(at: found.value) else { return nil }
        return (found.length, text)
    }

    private func text(at offset: Int) -> ArraySlice<UInt8>? {
        guard offset < replacements.count else { return nil }
        let end = replacements[offset...].firstIndex(of: 0) ?? replacements.count
        return replacements[offset..<end]
    }

    private func matches(_ key: ArraySlice<UInt8>, longest: Bool) -> (length: Int, value: Int)? {
        guard let root = units.first else { return nil }
        func offset(_ unit: UInt32) -> Int { Int((unit >> 10) << ((unit & (1 << 9)) >> 6)) }
        var position = offset(root), found: (Int, Int)?
        for (index, byte) in key.enumerated() {
            if byte == 0 { break }
            position ^= Int(byte)
            guard position < units.count else { break }
            let unit = units[position]
            // Label and "no leaf" bit together.
            if unit & (1 << 31 | 0xFF) != UInt32(byte) { break }
            position ^= offset(unit)
            guard position < units.count else { break }
            if unit >> 8 & 1 == 1 {
                found = (index + 1, Int(units[position] & 0x7FFF_FFFF))
                if !longest { return found }
            }
        }
        return found
    }

    /// Replaces grapheme clusters of fewer than six bytes that the map knows, and elsewhere single characters.
    func apply(_ text: inout WorkText) {
        var changes: [ScalarChange] = [], modified = false
        changes.reserveCapacity(text.bytes.count)
        func replace(_ old: Int, by new: ArraySlice<UInt8>) {
            let scalars = Array(String(decoding: new, as: UTF8.self).unicodeScalars)
            let difference = scalars.count - old
            for scalar in scalars { changes.append(ScalarChange(scalar: scalar.value, change: 0)) }
            if difference > 0 {
                for index in changes.indices.suffix(difference) { changes[index].change = 1 }
            } else if difference < 0, !changes.isEmpty {
                changes[changes.count - 1].change += difference
            }
            modified = true
        }
        func single(_ scalar: UInt32, _ bytes: ArraySlice<UInt8>) {
            if let new = replacement(for: bytes) { replace(1, by: new) } else { changes.append(ScalarChange(scalar: scalar, change: 0)) }
        }
        let bytes = text.bytes
        var start = 0
        while start < bytes.count {
            // Two ASCII characters in a row are clusters of their own but for CR LF: no need to ask for the boundaries.
            if bytes[start] < 0x80, start + 1 == bytes.count || bytes[start + 1] < 0x80, bytes[start] != 0x0D {
                single(UInt32(bytes[start]), bytes[start...start])
                start += 1
                continue
            }
            // Up to the next such place.
            var end = start + 1
            while end < bytes.count, !(bytes[end] < 0x80 && bytes[end] != 0x0A && bytes[end - 1] < 0x80) { end += 1 }
            let part = String(decoding: bytes[start..<end], as: UTF8.self)
            var place = start
            for character in part {
                let size = character.utf8.count
                if size < 6, let new = replacement(for: bytes[place..<(place + size)]) {
                    replace(character.unicodeScalars.count, by: new)
                } else {
                    var inner = place
                    for scalar in character.unicodeScalars {
                        let width = UTF8Text.size(scalar.value)
                        single(scalar.value, bytes[inner..<(inner + width)])
                        inner += width
                    }
                }
                place += size
            }
            start = end
        }
        if modified { text.transform(nil, changes) }
    }
}
