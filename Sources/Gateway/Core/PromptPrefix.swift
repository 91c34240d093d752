internal import JSON

/// Chained hashes of the leading text of a job's prompt: `prompt`, or the contents of `messages`, also inside `openai_input`.
package enum PromptPrefix {
    package static let blockByteCount = 256
    /// More says nothing new about where to send it.
    package static let maxBlocks = 64

    /// - Parameter input: JSON text of the job's input. Anything that has no prompt gives no hashes.
    package static func hashes(_ input: [UInt8]) -> [UInt64] {
        // Cheap refusal: no block would be full.
        guard input.count > blockByteCount else { return [] }
        var text = Text()
        input.withUnsafeBufferPointer { bytes in
            try? JSONReader.read(bytes) { (reader: inout JSONReader) throws in try walk(&reader, into: &text) }
        }
        return text.hashes
    }

    private static func walk(_ reader: inout JSONReader, into text: inout Text) throws {
        guard try reader.peek() == .object else { return }
        try reader.readObject { (reader: inout JSONReader, key: String) throws in
            if text.isFull { return try reader.skipValue() }
            switch key {
            case "openai_input", "body": try walk(&reader, into: &text)
            case "prompt", "content", "text":
                switch try reader.peek() {
                case .string: text.add(try reader.readString())
                case .array: try reader.readArray { (reader: inout JSONReader) throws in try element(&reader, into: &text) }
                default: try reader.skipValue()
                }
            case "system", "role":
                if try reader.peek() == .string { text.add(try reader.readString()) } else { try reader.skipValue() }
            case "messages":
                guard try reader.peek() == .array else { return try reader.skipValue() }
                try reader.readArray { (reader: inout JSONReader) throws in try element(&reader, into: &text) }
            default: try reader.skipValue()
            }
        }
    }

    private static func element(_ reader: inout JSONReader, into text: inout Text) throws {
        switch try reader.peek() {
        case .object: try walk(&reader, into: &text)
        case .string: text.add(try reader.readString())
        default: try reader.skipValue()
        }
    }

    /// FNV-1a over the text so far, noted at each full block.
    private struct Text {
        var hashes: [UInt64] = []
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        var count = 0

        var isFull: Bool { hashes.count >= maxBlocks }

        mutating func add(_ string: String) {
            for byte in string.utf8 {
                if isFull { return }
                take(byte)
            }
            take(0)
        }

        private mutating func take(_ byte: UInt8) {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
            count += 1
            if count % blockByteCount == 0, !isFull { hashes.append(hash) }
        }
    }
}
