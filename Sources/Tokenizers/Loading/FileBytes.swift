internal import CZlib

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A whole file in memory, mapped where it is plain and unpacked where it is gzip.
enum FileBytes {
    /// Larger than any tokenizer, unpacked.
    static let limit = 1 << 30

    static func exists(_ path: String) -> Bool { access(path, R_OK) == 0 }

    static func isFolder(_ path: String) -> Bool {
        var info = stat()
        return stat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
    }

    static func withBytes<Result>(
        of path: String, _ body: (UnsafeBufferPointer<UInt8>) throws(TokenizerError) -> Result
    ) throws(TokenizerError) -> Result {
        let file = try FileMapping(path, limit: limit)
        defer { withExtendedLifetime(file) {} }
        return try withBytes(of: file, path, body)
    }

    /// The bytes of a mapped file, unpacked where it is gzip.
    static func withBytes<Result>(
        of file: FileMapping, _ path: String, _ body: (UnsafeBufferPointer<UInt8>) throws(TokenizerError) -> Result
    ) throws(TokenizerError) -> Result {
        let bytes = file.bytes.assumingMemoryBound(to: UInt8.self)
        guard bytes.count > 2, bytes[0] == 0x1F, bytes[1] == 0x8B else { return try body(bytes) }
        let unpacked = try unpack(bytes, path)
        return try Storage.lend(unpacked, body)
    }

    private static func unpack(_ packed: UnsafeBufferPointer<UInt8>, _ path: String) throws(TokenizerError) -> [UInt8] {
        var stream = z_stream()
        guard inflateInit2_(&stream, 15 + 32, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw .unreadable(path: path, reason: "no memory to unpack it")
        }
        defer { inflateEnd(&stream) }
        stream.next_in = UnsafeMutablePointer(mutating: packed.baseAddress)
        stream.avail_in = uInt(packed.count)
        // The last four bytes tell the size, which is a hint only.
        let hint = packed.suffix(4).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
        var output = [UInt8](repeating: 0, count: min(max(hint + 16, 4096), 1 << 28)), used = 0
        while true {
            let status = output.withUnsafeMutableBufferPointer { buffer -> Int32 in
                stream.next_out = buffer.baseAddress.map { $0 + used }
                stream.avail_out = uInt(buffer.count - used)
                let status = inflate(&stream, Z_NO_FLUSH)
                used = buffer.count - Int(stream.avail_out)
                return status
            }
            if status == Z_STREAM_END {
                // Further members follow directly.
                if stream.avail_in > 0, inflateReset(&stream) == Z_OK { continue }
                break
            }
            guard status == Z_OK || status == Z_BUF_ERROR, stream.avail_in > 0 || stream.avail_out == 0 else {
                throw .unreadable(path: path, reason: "its gzip data is broken")
            }
            if stream.avail_out == 0 {
                guard output.count < limit else { throw .unreadable(path: path, reason: "it unpacks to more than \(limit) bytes") }
                output.append(contentsOf: repeatElement(0, count: output.count))
            }
        }
        output.removeLast(output.count - used)
        return output
    }
}

extension Storage<UInt8> {
    /// Lends an array's bytes to a closure that throws our own error type.
    static func lend<Result>(
        _ array: [UInt8], _ body: (UnsafeBufferPointer<UInt8>) throws(TokenizerError) -> Result
    ) throws(TokenizerError) -> Result {
        var outcome: Swift.Result<Result, TokenizerError>?
        array.withUnsafeBufferPointer { buffer in
            do throws(TokenizerError) { outcome = .success(try body(buffer)) } catch { outcome = .failure(error) }
        }
        guard let outcome else { throw .malformed(part: "memory", reason: "no bytes to read") }
        return try outcome.get()
    }
}

extension Tokenizer {
    /// A tokenizer from a file, or from the first of `tokenizer.json`, `tokenizer.json.gz`, `tokenizer.model` and `spiece.model` in a
    /// folder.
    /// - Parameter cache: where tables of an earlier start may be, and are kept for the next one.
    package convenience init(contentsOf path: String, cache: TokenizerCache? = nil) throws(TokenizerError) {
        var name = path
        if FileBytes.isFolder(path) {
            let names = ["tokenizer.json", "tokenizer.json.gz", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model"]
            guard let found = names.first(where: { FileBytes.exists("\(path)/\($0)") }) else {
                throw .unreadable(path: path, reason: "the folder has none of \(names.joined(separator: ", "))")
            }
            name = "\(path)/\(found)"
        }
        let file = try FileMapping(name, limit: FileBytes.limit)
        let key = cache == nil ? nil : TokenizerCache.Key(of: file)
        if let cache, let key, let kept = cache.find(key) {
            // What was kept was read without an error before; should it fail now, the file itself says what is wrong.
            if let parts = try? kept.parts() {
                self.init(parts)
                return
            }
        }
        let loaded = try FileBytes.withBytes(of: file, name) { bytes throws(TokenizerError) -> Tokenizer in
            let first = bytes.first { $0 > 0x20 && $0 != 0xEF && $0 != 0xBB && $0 != 0xBF }
            guard first == UInt8(ascii: "{") else { return try Tokenizer(sentencePiece: bytes) }
            var reader = try TokenizerJSONReader(bytes)
            let tokenizer = Tokenizer(try reader.parts())
            if let cache, let key, let tables = reader.tables { cache.keep(KeptTokenizer(skeleton: reader.skeleton, tables: tables), key) }
            return tokenizer
        }
        self.init(loaded.parts)
    }
}
