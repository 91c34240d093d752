import JSON
import Tensors
import Testing
import Weights

struct GGUFTests {
    static let metadata: [(String, GGUFValue)] = [
        ("general.architecture", .string("llama")), ("llama.block_count", .u32(2)), ("llama.attention.layer_norm_rms_epsilon", .f32(0.5)),
        ("u8", .u8(200)), ("i8", .i8(-3)), ("u16", .u16(65535)), ("i16", .i16(-4)), ("i32", .i32(-5)), ("u64", .u64(.max)), ("i64", .i64(.min)),
        ("f64", .f64(2.5)), ("yes", .bool(true)), ("numbers", .i32s([1, -2])), ("floats", .f32s([0.5, 2])), ("words", .strings(["a", "", "é"])),
        ("flags", .bools([true, false])), ("empty", .strings([])),
    ]

    static func head(version: UInt32 = 3, tensors: UInt64 = 0, keys: UInt64 = 0) -> [UInt8] {
        Array("GGUF".utf8) + littleEndian(version) + littleEndian(tensors) + littleEndian(keys)
    }

    static func text(_ text: String) -> [UInt8] { littleEndian(UInt64(text.utf8.count)) + Array(text.utf8) }

    static func info(_ name: String, _ dims: [UInt64], _ type: UInt32, _ offset: UInt64) -> [UInt8] {
        text(name) + littleEndian(UInt32(dims.count)) + dims.flatMap { littleEndian($0) } + littleEndian(type) + littleEndian(offset)
    }

    /// Head, metadata and table, then data from the next multiple of 32.
    static func file(_ parts: [UInt8], data: Int = 0) throws -> GGUFFile {
        let padding = data > 0 ? [UInt8](repeating: 0, count: -parts.count & 31) : []
        return try GGUFFile(file: try mapped(parts + padding + [UInt8](repeating: 1, count: data)))
    }

    @Test func roundTrip() throws {
        let tensors: [(String, TensorView)] = [
            ("token_embd.weight", try tensor(.q4_0, [3, 64])), ("a", try tensor(.f16, [5], first: 3)), ("k", try tensor(.q6_k, [2, 256])),
            ("three", try tensor(.i8, [2, 3, 4])),
        ]
        try withFolder { folder in
            let path = folder + "/m.gguf"
            try GGUFWriter.write(to: path, tensors, metadata: Self.metadata)
            let file = try GGUFFile(path: path)
            #expect(file.version == 3 && file.alignment == 32)
            #expect(file.records.map(\.name) == tensors.map(\.0))
            for (record, (_, tensor)) in zip(file.records, tensors) {
                let view = try record.view()
                #expect(record.offset % 32 == 0)
                #expect(view.dtype == tensor.dtype && view.shape == tensor.shape && view.bytes.elementsEqual(tensor.bytes))
                #expect(isWindow(view, on: file.file))
            }
            let metadata = file.metadata
            #expect(metadata.keys == Self.metadata.map(\.0))
            #expect(metadata.json("u8") == 200 && metadata.json("i8") == -3 && metadata.json("u16") == 65535 && metadata.json("i16") == -4)
            #expect(metadata.json("u64") == .bigInt("18446744073709551615") && metadata.json("i64") == .int(.min) && metadata.json("f64") == 2.5)
            #expect(metadata.json("yes") == true && metadata.json("words") == ["a", "", "é"] && metadata.json("flags") == [true, false])
            #expect(try metadata.strings("words")?.strings == ["a", "", "é"])
            #expect(try metadata.strings("empty")?.isEmpty == true)
            #expect(try metadata.floats("numbers") == [1, -2] && metadata.int32s("numbers") == [1, -2] && metadata.floats("floats") == [0.5, 2])
            #expect(try metadata.model.int("block_count") == 2)
            #expect(try metadata.model.float("attention.layer_norm_rms_epsilon") == 0.5)
            #expect(message { _ = try metadata.model.int("context_length") }.hasSuffix("'llama.context_length' is missing"))
            #expect(message { _ = try metadata.int32s("floats") }.contains("'floats' must be an array of 32-bit integers"))
            #expect(message { _ = try metadata.strings("numbers") }.contains("'numbers' must be an array of strings"))
            // Copying every value as it is gives the same file.
            let copy = try GGUFWriter.bytes(tensors, metadata: metadata.keys.compactMap { key in metadata.raw(key).map { (key, $0) } })
            #expect(file.file.withUnsafeBytes { $0.elementsEqual(copy) })
        }
    }

    @Test func versions() throws {
        func refusal(_ bytes: [UInt8]) -> String { message { _ = try Self.file(bytes) } }
        #expect(try Self.file(Self.head(version: 2)).version == 2)
        #expect(refusal(Self.head(version: 1)).contains("version 1"))
        #expect(refusal(Self.head(version: 4)).contains("version 4"))
        #expect(refusal(Self.head(version: UInt32(3).byteSwapped)).contains("big-endian"))
        #expect(refusal(Array("tjgg".utf8)).contains("before GGUF"))
        #expect(refusal(Array("PK\u{3}\u{4}".utf8)).contains("no GGUF file"))
        #expect(refusal(Array("GG".utf8)).contains("ends inside"))
        #expect(refusal(Self.head(tensors: .max)).contains("number of tensors"))
        #expect(refusal(Self.head(keys: 1 << 40)).contains("number of metadata keys"))
    }

    @Test func brokenMetadata() throws {
        func refusal(_ parts: [UInt8]...) -> String {
            message { _ = try Self.file(Self.head(keys: UInt64(parts.count)) + parts.flatMap(\.self) + [UInt8](repeating: 0, count: 64)) }
        }
        let one = Self.text("k") + littleEndian(UInt32(4)) + littleEndian(UInt32(7))
        #expect(refusal(one, one).contains("'k': appears twice"))
        #expect(refusal(Self.text("k") + littleEndian(UInt32(13))).contains("'k': has the unknown value type 13"))
        #expect(refusal(littleEndian(UInt64.max)).contains("the key is 18446744073709551615 bytes long"))
        #expect(refusal(Self.text("k") + littleEndian(UInt32(8)) + littleEndian(UInt64.max)).contains("the string is 18446744073709551615 bytes long"))
        #expect(refusal(Self.text("k") + littleEndian(UInt32(8)) + littleEndian(UInt64(500))).contains("'k': the file ends inside the string"))
        #expect(refusal(Self.text("k") + littleEndian(UInt32(9)) + littleEndian(UInt32(9)) + littleEndian(UInt64(1))).contains("array of arrays"))
        #expect(refusal(Self.text("k") + littleEndian(UInt32(9)) + littleEndian(UInt32(10)) + littleEndian(UInt64(1 << 61))).contains("number of elements"))
        #expect(refusal(Self.text("k") + littleEndian(UInt32(9)) + littleEndian(UInt32(8)) + littleEndian(UInt64(2)) + littleEndian(UInt64(900)))
            .contains("ends inside an array of strings"))
        #expect(refusal(littleEndian(UInt64(1)) + [0xFF]).contains("not valid UTF-8"))
        for alignment: UInt32 in [0, 3, 48] {
            #expect(refusal(Self.text("general.alignment") + littleEndian(UInt32(4)) + littleEndian(alignment)).contains("power of two"))
        }
        #expect(refusal(Self.text("general.alignment") + littleEndian(UInt32(8)) + Self.text("x")).contains("must be an integer"))
    }

    @Test func brokenTensors() throws {
        func refusal(_ infos: [UInt8]..., data: Int = 64) -> String {
            message { _ = try Self.file(Self.head(tensors: UInt64(infos.count)) + infos.flatMap(\.self), data: data) }
        }
        #expect(refusal(Self.info("t", [1, 1, 1, 1, 1], 0, 0)).contains("'t': has 5 dimensions"))
        #expect(refusal(Self.info("t", [.max], 0, 0)).contains("'t': has a dimension of"))
        #expect(refusal(Self.info("t", [1 << 40, 1 << 40], 0, 0)).contains("'t': dimensions"))
        #expect(refusal(Self.info("t", [1 << 62], 0, 0)).contains("not possible for f32"))
        #expect(refusal(Self.info("t", [33], 2, 0)).contains("not possible for q4_0"))
        #expect(refusal(Self.info("t", [4], 0, 8)).contains("no multiple of 32"))
        #expect(refusal(Self.info("t", [17], 0, 0)).contains("is the file complete?"))
        #expect(refusal(Self.info("t", [1], 0, 96)).contains("is the file complete?"))
        #expect(refusal(Self.info("t", [1], 0, .max & ~31)).contains("is the file complete?"))
        #expect(refusal(Self.info("t", [1], 0, 0), Self.info("t", [1], 0, 32)).contains("'t': appears twice"))
        #expect(refusal(Self.info("t", [9], 0, 0), Self.info("u", [1], 0, 32)).contains("'u': its data overlaps that of 't'"))
    }

    /// A type that we do not know only matters when its tensor is used.
    @Test func unknownTypes() throws {
        let file = try Self.file(Self.head(tensors: 2) + Self.info("odd", [64], 4, 0) + Self.info("even", [4], 0, 32), data: 64)
        #expect(try file.records[1].view().count == 4)
        #expect(message { _ = try file.records[0].view() } == "memory: tensor 'odd' has the unknown element type ggml type 4")
    }

    @Test func otherAlignment() throws {
        let head = Self.head(tensors: 1, keys: 1) + Self.text("general.alignment") + littleEndian(UInt32(4)) + littleEndian(UInt32(8))
        let table = head + Self.info("t", [2], 0, 8)
        let bytes = table + [UInt8](repeating: 0, count: -table.count & 7) + [UInt8](0..<16)
        let file = try GGUFFile(file: try mapped(bytes))
        #expect(file.alignment == 8)
        #expect(Array(try file.records[0].view().bytes) == Array(8..<16))
    }

    @Test func vocabulary() throws {
        func vocabulary(_ changes: [(String, GGUFValue)] = []) throws -> GGUFVocabulary? {
            let base: [(String, GGUFValue)] = [
                ("tokenizer.ggml.model", .string("gpt2")), ("tokenizer.ggml.pre", .string("llama-bpe")),
                ("tokenizer.ggml.tokens", .strings(["<s>", "a", "b", "ab"])), ("tokenizer.ggml.scores", .f32s([0, -1, -2, -3])),
                ("tokenizer.ggml.token_type", .i32s([3, 1, 1, 1])), ("tokenizer.ggml.merges", .strings(["a b"])),
                ("tokenizer.ggml.bos_token_id", .u32(0)), ("tokenizer.ggml.eos_token_id", .u32(3)),
                ("tokenizer.ggml.padding_token_id", .u32(.max)), ("tokenizer.ggml.add_bos_token", .bool(true)),
                ("tokenizer.chat_template", .string("T")), ("tokenizer.chat_template.tool_use", .string("U")),
            ]
            let merged = base.filter { key, _ in !changes.contains { $0.0 == key } } + changes
            return try GGUFFile(file: try mapped(try GGUFWriter.bytes([], metadata: merged))).metadata.vocabulary()
        }
        let found = try #require(try vocabulary())
        #expect(found.model == "gpt2" && found.pre == "llama-bpe" && found.tokens.strings == ["<s>", "a", "b", "ab"])
        #expect(found.scores == [0, -1, -2, -3] && found.types == [3, 1, 1, 1] && found.merges?.strings == ["a b"])
        #expect(found.bos == 0 && found.eos == 3 && found.padding == nil && found.unknown == nil && found.addBOS == true && found.addEOS == nil)
        #expect(found.chatTemplate == "T" && found.namedChatTemplates.map(\.name) == ["tool_use"])
        #expect(found.tokens.withBytes(3) { Array($0) } == Array("ab".utf8))
        #expect(message { _ = try vocabulary([("tokenizer.ggml.scores", .f32s([1]))]) }.contains("has 1 elements for 4 tokens"))
        #expect(message { _ = try vocabulary([("tokenizer.ggml.bos_token_id", .u32(4))]) }.contains("is 4, but there are 4 tokens"))
        #expect(message { _ = try vocabulary([("tokenizer.ggml.merges", .i32s([1]))]) }.contains("must be an array of strings"))
        #expect(try GGUFFile(file: try mapped(Self.head())).metadata.vocabulary() == nil)
    }
}
