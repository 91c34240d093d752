import Tensors

/// Moves packed codes about: 32-bit words in which values lie low bits first become rows of nibbles or bytes.
///
/// All functions work on raw memory whose size the caller has checked.
enum CodeUnpacking {
    /// Words `[rows, columns]` to rows of words `[columns, rows]`, in tiles that stay in the first-level cache.
    static func transposeWords(_ source: UnsafeRawPointer, rows: Int, columns: Int, into target: UnsafeMutableRawPointer) {
        let tileRows = 64, tileColumns = 16
        for top in stride(from: 0, to: rows, by: tileRows) {
            let bottom = min(top + tileRows, rows)
            for left in stride(from: 0, to: columns, by: tileColumns) {
                let right = min(left + tileColumns, columns)
                for column in left..<right {
                    for row in top..<bottom {
                        let word = source.loadUnaligned(fromByteOffset: 4 * (row * columns + column), as: UInt32.self)
                        target.storeBytes(of: word, toByteOffset: 4 * (column * rows + row), as: UInt32.self)
                    }
                }
            }
        }
    }

    /// `count` values of `bits` bits, each into a byte. Reads no word beyond the last value.
    static func unpack(_ source: UnsafeRawPointer, bits: Int, count: Int, into target: UnsafeMutablePointer<UInt8>) {
        var buffer: UInt64 = 0, filled = 0, offset = 0
        let mask: UInt64 = 1 << UInt64(bits) - 1
        for index in 0..<count {
            if filled < bits {
                buffer |= UInt64(source.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) << UInt64(filled)
                filled += 32
                offset += 4
            }
            target[index] = UInt8(truncatingIfNeeded: buffer & mask)
            buffer >>= UInt64(bits)
            filled -= bits
        }
    }

    /// One row of `count` packed values to the codes of `GroupedWeight`: nibbles for up to 4 bits, else bytes less 128.
    /// - source: `(count · bits + 31) / 32` words.
    static func expandRow(_ source: UnsafeRawPointer, bits: Int, count: Int, into target: UnsafeMutableRawPointer) {
        // Values done in bulk; the rest one by one.
        var done = 0
        switch bits {
        case 4:
            done = count & ~1
            target.copyMemory(from: source, byteCount: done / 2)
        case 8:
            done = count & ~7
            for index in stride(from: 0, to: done, by: 8) {
                let word = source.loadUnaligned(fromByteOffset: index, as: UInt64.self) ^ 0x8080_8080_8080_8080
                target.storeBytes(of: word, toByteOffset: index, as: UInt64.self)
            }
        case 2:
            done = count & ~15
            for index in stride(from: 0, to: done, by: 16) {
                var x = UInt64(source.loadUnaligned(fromByteOffset: index / 4, as: UInt32.self))
                x = (x | x << 16) & 0x0000_FFFF_0000_FFFF
                x = (x | x << 8) & 0x00FF_00FF_00FF_00FF
                x = (x | x << 4) & 0x0F0F_0F0F_0F0F_0F0F
                x = (x | x << 2) & 0x3333_3333_3333_3333
                target.storeBytes(of: x, toByteOffset: index / 2, as: UInt64.self)
            }
        case 3:
            done = count & ~31
            for index in stride(from: 0, to: done, by: 8) {
                // 24 bits: 8 values.
                let at = index / 8 * 3
                let x =
                    UInt32(source.load(fromByteOffset: at, as: UInt8.self)) | UInt32(source.load(fromByteOffset: at + 1, as: UInt8.self)) << 8
                    | UInt32(source.load(fromByteOffset: at + 2, as: UInt8.self)) << 16
                let halves = x & 0xFFF | (x & 0xFF_F000) << 4
                let quarters = halves & 0x003F_003F | (halves & 0x0FC0_0FC0) << 2
                let nibbles = quarters & 0x0707_0707 | (quarters & 0x3838_3838) << 1
                target.storeBytes(of: nibbles, toByteOffset: index / 2, as: UInt32.self)
            }
        default: break
        }
        guard done < count else { return }
        let firstBit = done * bits, skipped = firstBit % 32 / bits
        var rest = [UInt8](repeating: 0, count: count - done + skipped)
        rest.withUnsafeMutableBufferPointer { values in
            guard let base = values.baseAddress else { return }
            unpack(source + firstBit / 32 * 4, bits: bits, count: values.count, into: base)
        }
        for index in done..<count {
            let value = rest[index - done + skipped]
            if bits > 4 {
                target.storeBytes(of: value ^ 0x80, toByteOffset: index, as: UInt8.self)
            } else {
                let old = index & 1 == 0 ? 0 : target.load(fromByteOffset: index / 2, as: UInt8.self)
                target.storeBytes(of: old | value << UInt8(4 * (index & 1)), toByteOffset: index / 2, as: UInt8.self)
            }
        }
    }

    /// One row of nibbles or bytes in another order: column `j` of the result is column `order[j]` of the source.
    /// - scratch: `count` bytes, rounded up to an even number.
    static func reorderRow(
        _ source: UnsafeRawPointer, areNibbles: Bool, order: UnsafePointer<Int32>, count: Int, scratch: UnsafeMutablePointer<UInt8>,
        into target: UnsafeMutableRawPointer
    ) {
        let codes = target.assumingMemoryBound(to: UInt8.self), bytes = source.assumingMemoryBound(to: UInt8.self)
        guard areNibbles else {
            for column in 0..<count { codes[column] = bytes[Int(order[column])] }
            return
        }
        for index in 0..<(count + 1) / 2 {
            let byte = bytes[index]
            scratch[2 * index] = byte & 15
            scratch[2 * index + 1] = byte >> 4
        }
        for index in 0..<count / 2 { codes[index] = scratch[Int(order[2 * index])] | scratch[Int(order[2 * index + 1])] << 4 }
        if count & 1 == 1 { codes[count / 2] = scratch[Int(order[count - 1])] }
    }

    /// Words `[inputs, words]` whose nibbles are 8 outputs each, to rows of nibbles `[8 · words, (inputs + 1) / 2]`: AWQ's layout to ours.
    /// - order: output within a word of the nibble at each position, low first.
    static func transposeNibbles(
        _ source: UnsafeRawPointer, inputs: Int, words: Int, order: [8 of Int], into target: UnsafeMutableRawPointer
    ) {
        let rowBytes = (inputs + 1) / 2
        let tileWords = 16
        for left in stride(from: 0, to: words, by: tileWords) {
            let right = min(left + tileWords, words)
            for top in stride(from: 0, to: inputs, by: 8) {
                let height = min(8, inputs - top), bytes = (height + 1) / 2
                for word in left..<right {
                    var block: [8 of UInt32] = InlineArray(repeating: 0)
                    for row in 0..<height {
                        block[row] = source.loadUnaligned(fromByteOffset: 4 * ((top + row) * words + word), as: UInt32.self)
                    }
                    transpose(&block)
                    for position in 0..<8 {
                        let start = (8 * word + order[position]) * rowBytes + top / 2
                        if bytes == 4 {
                            target.storeBytes(of: block[position], toByteOffset: start, as: UInt32.self)
                        } else {
                            for byte in 0..<bytes {
                                target.storeBytes(of: UInt8(truncatingIfNeeded: block[position] >> UInt32(8 * byte)), toByteOffset: start + byte, as: UInt8.self)
                            }
                        }
                    }
                }
            }
        }
    }

    /// The nibble matrix of 8 words, transposed by swapping halves, quarters and eighths.
    @inline(__always)
    private static func transpose(_ block: inout [8 of UInt32]) {
        for row in stride(from: 0, to: 8, by: 2) {
            let t = (block[row] >> 4 ^ block[row + 1]) & 0x0F0F_0F0F
            block[row + 1] ^= t
            block[row] ^= t << 4
        }
        for index in 0..<4 {
            let row = index + (index & 2)
            let t = (block[row] >> 8 ^ block[row + 2]) & 0x00FF_00FF
            block[row + 2] ^= t
            block[row] ^= t << 8
        }
        for row in 0..<4 {
            let t = (block[row] >> 16 ^ block[row + 4]) & 0x0000_FFFF
            block[row + 4] ^= t
            block[row] ^= t << 16
        }
    }
}
