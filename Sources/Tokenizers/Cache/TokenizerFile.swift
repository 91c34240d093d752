/// The file of a kept tokenizer: a header of 64-bit numbers, then sections that start at multiples of 64 bytes and are used where they lie.
///
///     magic, key's hash, key's size, hash of all that follows the header, seed of the piece table, distinct pieces,
///     offset and length in bytes of: skeleton, pieces' bytes, starts (UInt32), present (Bool), slots (UInt64), merges (MergeTable.Slot), joined bytes, unreachable pieces
///
/// Numbers are the processor's own: the file stays on the machine, or in the image, that it was made for.
enum TokenizerFile {
    /// "NDLTOK", and the version of the layout.
    private static let magic: UInt64 = 0x4E44_4C54_4F4B_0001
    private static let sectionCount = 8
    private static let headerCount = 6 + 2 * sectionCount
    private static let alignment = 64
    /// Larger than the tables of any vocabulary.
    static let largest = 1 << 30

    // MARK: Writing

    static func bytes(_ kept: KeptTokenizer, _ key: TokenizerCache.Key) -> [UInt8] {
        let pieces = kept.tables.pieces
        var header = [magic, key.hash, UInt64(key.byteCount), 0, pieces.seed, UInt64(pieces.distinct)]
        var file = [UInt8](repeating: 0, count: aligned(headerCount * 8))
        func add(_ section: UnsafeRawBufferPointer) {
            header += [UInt64(file.count), UInt64(section.count)]
            file += section
            file += repeatElement(0, count: aligned(file.count) - file.count)
        }
        kept.skeleton.withUnsafeBytes(add)
        add(UnsafeRawBufferPointer(pieces.bytes.buffer))
        add(UnsafeRawBufferPointer(pieces.starts.buffer))
        add(UnsafeRawBufferPointer(pieces.present.buffer))
        add(UnsafeRawBufferPointer(pieces.slots.buffer))
        add(UnsafeRawBufferPointer(kept.tables.merges.slots.buffer))
        kept.tables.joinedBytes.sorted().withUnsafeBytes(add)
        packed(kept.tables.unreachable).withUnsafeBytes(add)
        header[3] = file.withUnsafeBytes { ContentChecksum.hash(UnsafeRawBufferPointer(rebasing: $0[aligned(headerCount * 8)...])) }
        file.withUnsafeMutableBytes { file in header.withUnsafeBytes { file.copyMemory(from: $0) } }
        return file
    }

    private static func aligned(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }

    /// Id and size as 32-bit numbers, then the piece; one after another.
    private static func packed(_ unreachable: [Int32: [UInt8]]) -> [UInt8] {
        var bytes: [UInt8] = []
        for (id, piece) in unreachable.sorted(by: { $0.key < $1.key }) {
            withUnsafeBytes(of: id) { bytes += $0 }
            withUnsafeBytes(of: Int32(truncatingIfNeeded: piece.count)) { bytes += $0 }
            bytes += piece
        }
        return bytes
    }

    // MARK: Reading

    /// - Returns: nil where the file is not that of the key, is damaged, or does not hold together.
    static func read(_ file: FileMapping, _ key: TokenizerCache.Key) -> KeptTokenizer? {
        let bytes = file.bytes, start = aligned(headerCount * 8)
        guard bytes.count >= start else { return nil }
        let header = (0..<headerCount).map { bytes.load(fromByteOffset: $0 * 8, as: UInt64.self) }
        guard header[0] == magic, header[1] == key.hash, header[2] == UInt64(key.byteCount),
            header[3] == ContentChecksum.hash(UnsafeRawBufferPointer(rebasing: bytes[start...])),
            let sections = sections(header[6...], bytes), let distinct = Int(exactly: header[5]),
            // Any byte but 0 and 1 is no Bool.
            sections[3].allSatisfy({ $0 <= 1 }),
            let starts: Storage<UInt32> = storage(sections[2], file), let present: Storage<Bool> = storage(sections[3], file),
            let slots: Storage<UInt64> = storage(sections[4], file), let merges: Storage<MergeTable.Slot> = storage(sections[5], file),
            let texts: Storage<UInt8> = storage(sections[1], file),
            let pieces = PieceTable(bytes: texts, starts: starts, present: present, slots: slots, seed: header[4], distinct: distinct),
            let table = MergeTable(slots: merges, pieceCount: pieces.count), let unreachable = unpacked(sections[7])
        else { return nil }
        return KeptTokenizer(
            skeleton: Array(sections[0]),
            tables: VocabularyTables(pieces: pieces, merges: table, joinedBytes: Set(sections[6]), unreachable: unreachable))
    }

    private static func sections(_ numbers: ArraySlice<UInt64>, _ bytes: UnsafeRawBufferPointer) -> [UnsafeRawBufferPointer]? {
        var sections: [UnsafeRawBufferPointer] = []
        for place in stride(from: numbers.startIndex, to: numbers.endIndex, by: 2) {
            guard let offset = Int(exactly: numbers[place]), let count = Int(exactly: numbers[place + 1]), offset % alignment == 0,
                offset <= bytes.count, count <= bytes.count - offset
            else { return nil }
            sections.append(UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)]))
        }
        return sections
    }

    private static func storage<Element>(_ section: UnsafeRawBufferPointer, _ file: FileMapping) -> Storage<Element>? {
        guard section.count % MemoryLayout<Element>.stride == 0, let base = section.baseAddress else { return nil }
        let count = section.count / MemoryLayout<Element>.stride
        return Storage(base.bindMemory(to: Element.self, capacity: count), count: count, of: file)
    }

    private static func unpacked(_ bytes: UnsafeRawBufferPointer) -> [Int32: [UInt8]]? {
        var pieces: [Int32: [UInt8]] = [:], offset = 0
        while offset < bytes.count {
            guard bytes.count - offset >= 8 else { return nil }
            let id = bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self), size = Int(bytes.loadUnaligned(fromByteOffset: offset + 4, as: Int32.self))
            offset += 8
            guard 0...Int32(TokenizerLimits.largestID) ~= id, 0...(bytes.count - offset) ~= size else { return nil }
            pieces[id] = Array(bytes[offset..<(offset + size)])
            offset += size
        }
        return pieces
    }
}
