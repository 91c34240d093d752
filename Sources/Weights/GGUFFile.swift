package import Tensors

/// One GGUF file (version 2 or 3, little-endian): metadata, a table of tensors, and their data at aligned offsets.
///
/// Source: the format description in ggml's `docs/gguf.md` and the checks of its `gguf.cpp`.
package struct GGUFFile: Sendable {
    package let file: MappedFile
    package let version: UInt32
    package let metadata: GGUFMetadata
    /// Bytes: all offsets are multiples of it.
    package let alignment: Int
    /// In the order of the table. Shapes are outermost first (the file has them innermost first).
    package let records: [TensorRecord]

    static let defaultAlignment = 32

    package init(path: String) throws(LoadError) {
        do {
            try self.init(file: try MappedFile(path: path))
        } catch let error as LoadError {
            throw error
        } catch let error as FileError {
            throw LoadError(error)
        } catch {
            throw .file(path: path, reason: "\(error)")
        }
    }

    package init(file: MappedFile) throws(LoadError) {
        var cursor = ByteCursor(file)
        version = try Self.readVersion(&cursor)
        // A key takes at least 13 bytes and a tensor 24, which keeps a made-up count from reserving memory.
        let tensorCount = try cursor.count("the number of tensors", limit: cursor.remaining / 24)
        let keyCount = try cursor.count("the number of metadata keys", limit: cursor.remaining / 13)
        metadata = try GGUFMetadata(&cursor, keyCount: keyCount)
        alignment = try Self.alignment(metadata)
        records = try Self.readTensors(&cursor, tensorCount, alignment)
        self.file = file
    }

    private static func readVersion(_ cursor: inout ByteCursor) throws(LoadError) -> UInt32 {
        let magic = try cursor.integer(UInt32.self, "the magic number")
        guard magic == 0x4655_4747 else {
            let isOlder = [0x6767_6D6C, 0x6767_6D66, 0x6767_6A74, 0x6767_6C61].contains(magic)
            throw cursor.malformed(
                isOlder
                    ? "is a GGML file from before GGUF; convert it with llama.cpp's tools"
                    : "does not start with 'GGUF'; this is no GGUF file")
        }
        let version = try cursor.integer(UInt32.self, "the version")
        switch version {
        case 2, 3: return version
        case 1: throw cursor.malformed("is GGUF version 1, which nobody writes any more; convert the model again")
        case _ where version & 0xFFFF == 0 && version != 0:
            throw cursor.malformed("is a big-endian GGUF file; only little-endian files are supported")
        default: throw cursor.malformed("is GGUF version \(version); versions 2 and 3 are supported")
        }
    }

    private static func alignment(_ metadata: GGUFMetadata) throws(LoadError) -> Int {
        let key = "general.alignment"
        guard let alignment = try metadata.root.int(optional: key) else { return defaultAlignment }
        guard alignment > 0, alignment & (alignment - 1) == 0 else {
            throw .malformed(file: metadata.path, tensor: key, reason: "must be a power of two, but is \(alignment)")
        }
        return alignment
    }
}
