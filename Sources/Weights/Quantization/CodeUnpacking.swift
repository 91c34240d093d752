import Tensors

/// Moves packed codes about: 32-bit words in which values lie low bits first become rows of nibbles or bytes.
///
/// All functions work on raw memory whose size the caller has checked.
enum CodeUnpacking {
    /// Columns of a strip that `transposeStrip` should be asked for: a cache line of words.
    static let stripWidth = 16

    /// Columns `left..<left + width` of words `[rows, columns]` as rows of words, `stride` bytes apart.
    static func transposeStrip(
        _ source: UnsafeRawPointer, rows: Int, columns: Int, left: Int, width: Int, into target: UnsafeMutableRawPointer, stride: Int
    ) {
        for row in 0..<rows {
            let line = source + 4 * (row * columns + left)
            for column in 0..<width {
                let word = line.loadUnaligned(fromByteOffset: 4 * column, as: UInt32.self)
                target.storeBytes(of: word, toByteOffset: column * stride + 4 * row, as: UInt32.self)
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
        // A tile of 128 outputs and 128 inputs is put together on the side: rows of the target are often a power of two apart, and lines so far
        // apart push each other out of the cache.
        let tileWords = 16, tileInputs = 128, tileBytes = tileInputs / 2
        withUnsafeTemporaryAllocation(byteCount: 8 * tileWords * tileBytes, alignment: 64) { tile in
            guard let tile = tile.baseAddress else { return }
            for left in stride(from: 0, to: words, by: tileWords) {
                let width = min(tileWords, words - left)
                for top in stride(from: 0, to: inputs, by: tileInputs) {
                    let height = min(tileInputs, inputs - top)
                    for start in stride(from: 0, to: height, by: 8) {
                        let rows = min(8, height - start)
                        for word in stride(from: 0, to: width, by: 4) {
                            let lanes = min(4, width - word)
                            let first = source + 4 * ((top + start) * words + left + word)
                            let to = tile + 8 * word * tileBytes + start / 2
                            transpose(first, stride: 4 * words, rows: rows, lanes: lanes) { lane, position, nibbles in
                                to.storeBytes(of: nibbles, toByteOffset: (8 * lane + order[position]) * tileBytes, as: UInt32.self)
                            }
                        }
                    }
                    for row in 0..<8 * width {
                        (target + (8 * left + row) * rowBytes + top / 2).copyMemory(from: tile + row * tileBytes, byteCount: (height + 1) / 2)
                    }
                }
            }
        }
    }

    /// Up to four nibble matrices side by side, transposed by swapping eighths, quarters and halves.
    /// - source: 8 rows (fewer count as zeros) of `lanes` words.
    /// - store: called with lane, nibble position and the 8 nibbles there, the first row's low.
    @inline(__always)
    private static func transpose(
        _ source: UnsafeRawPointer, stride: Int, rows: Int, lanes: Int, _ store: (Int, Int, UInt32) -> Void
    ) {
        func load(_ row: Int) -> SIMD4<UInt32> {
            guard row < rows else { return .zero }
            let line = source + row * stride
            if lanes == 4 { return line.loadUnaligned(as: SIMD4<UInt32>.self) }
            var words = SIMD4<UInt32>.zero
            for lane in 0..<lanes { words[lane] = line.loadUnaligned(fromByteOffset: 4 * lane, as: UInt32.self) }
            return words
        }
        var (a, b, c, d) = (load(0), load(1), load(2), load(3))
        var (e, f, g, h) = (load(4), load(5), load(6), load(7))
        exchange(&a, &b, 4, 0x0F0F_0F0F)
        exchange(&c, &d, 4, 0x0F0F_0F0F)
        exchange(&e, &f, 4, 0x0F0F_0F0F)
        exchange(&g, &h, 4, 0x0F0F_0F0F)
        exchange(&a, &c, 8, 0x00FF_00FF)
        exchange(&b, &d, 8, 0x00FF_00FF)
        exchange(&e, &g, 8, 0x00FF_00FF)
        exchange(&f, &h, 8, 0x00FF_00FF)
        exchange(&a, &e, 16, 0x0000_FFFF)
        exchange(&b, &f, 16, 0x0000_FFFF)
        exchange(&c, &g, 16, 0x0000_FFFF)
        exchange(&d, &h, 16, 0x0000_FFFF)
        for lane in 0..<lanes {
            store(lane, 0, a[lane])
            store(lane, 1, b[lane])
            store(lane, 2, c[lane])
            store(lane, 3, d[lane])
            store(lane, 4, e[lane])
            store(lane, 5, f[lane])
            store(lane, 6, g[lane])
            store(lane, 7, h[lane])
        }
    }

    @inline(__always)
    private static func exchange(_ a: inout SIMD4<UInt32>, _ b: inout SIMD4<UInt32>, _ shift: UInt32, _ mask: UInt32) {
        let t = (a &>> SIMD4(repeating: shift) ^ b) & SIMD4(repeating: mask)
        b ^= t
        a ^= t &<< SIMD4(repeating: shift)
    }
}
