import Tensors
import Testing
import Weights

struct SafetensorsTests {
    private func file(_ header: String, data: Int) throws -> SafetensorsFile {
        try SafetensorsFile(file: try mapped(littleEndian(UInt64(header.utf8.count)) + Array(header.utf8) + [UInt8](repeating: 7, count: data)))
    }

    @Test func reads() throws {
        let file = try file(
            #"{"__metadata__":{"format":"pt"},"b":{"dtype":"U8","shape":[2,2],"data_offsets":[4,8]},"a":{"data_offsets":[0,4],"shape":[],"dtype":"F32"}}  "#,
            data: 8)
        #expect(file.names == ["a", "b"])
        #expect(file.metadata == ["format": "pt"])
        #expect(try file.tensor("a").shape == [])
        #expect(try file.tensor("b").integers() == [7, 7, 7, 7])
        #expect(message { _ = try file.tensor("c") } == "memory: tensor 'c' is missing")
    }

    /// Header, bytes of data, and what the message must say.
    static let broken: [(String, Int, String)] = [
        (#"[]"#, 0, "does not start with '{'"),
        (#" {}"#, 0, "does not start with '{'"),
        (#"{"a":1}"#, 0, "'a': expected an object"),
        (#"{} x"#, 0, "unexpected text"),
        (#"{"a":{"dtype":"F32","shape":[1]}}"#, 4, "'a': data_offsets must be two"),
        (#"{"a":{"dtype":"F32","data_offsets":[0,4]}}"#, 4, "'a': has no shape"),
        (#"{"a":{"shape":[1],"data_offsets":[0,4]}}"#, 4, "'a': has no dtype"),
        (#"{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}"#, 4, "'a' has the unknown element type 'F31'"),
        (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "'a': expected an integer from 0"),
        (#"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#, 4, "'a': expected an integer from 0"),
        (#"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}"#, 4, "'a': expected an integer from 0"),
        (#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}"#, 4, "not possible for F32"),
        (#"{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}}"#, 4, "more than 8"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}"#, 4, "not inside the 4 bytes"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4, "not inside"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,9223372036854775807]}}"#, 4, "not inside"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4, "takes 8"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}"#, 4, "unknown member 'x'"),
        (#"{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}"#, 4, "shape appears twice"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, "a hole before"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 8, "4 bytes at the end belong to no tensor"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 4, "overlaps"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, "twice"),
        (#"{"__metadata__":{"n":1}}"#, 0, "expected a string"),
    ]

    @Test(arguments: broken) func refuses(_ header: String, _ data: Int, _ expected: String) throws {
        let text = message { _ = try file(header, data: data) }
        #expect(text.contains(expected), "\(text)")
        #expect(text.contains("memory"))
    }

    @Test func lengths() throws {
        #expect(message { _ = try SafetensorsFile(file: try mapped([1, 2, 3])) }.contains("ends inside the header length"))
        #expect(message { _ = try SafetensorsFile(file: try mapped(littleEndian(UInt64(9)) + [1])) }.contains("ends inside the header"))
        #expect(message { _ = try SafetensorsFile(file: try mapped(littleEndian(UInt64.max))) }.contains("header length is"))
        #expect(message { _ = try SafetensorsFile(file: try mapped(littleEndian(UInt64(100_000_001)))) }.contains("header length is"))
        #expect(message { _ = try SafetensorsFile(path: "/none/x.safetensors") } == "/none/x.safetensors: no such file")
    }

    /// Misaligned data comes out aligned.
    @Test func alignment() throws {
        let file = try file(
            #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F64","shape":[1],"data_offsets":[1,9]}}"#, data: 9)
        let view = try file.tensor("b")
        #expect(view.bytes.baseAddress.map { Int(bitPattern: $0) % 8 } == 0)
        #expect(Array(view.bytes) == [UInt8](repeating: 7, count: 8))
    }

    @Test func roundTrip() throws {
        let tensors: [(String, TensorView)] = [
            ("bytes", try tensor(.u8, [3])), ("x.weight", try tensor(.bf16, [2, 5], first: 9)), ("scalar", try tensor(.f64, [])),
            ("none", try tensor(.f32, [0, 7])), ("quoted \"\\é\n", try tensor(.i32, [2])), ("f8", try tensor(.f8_e5m2, [5])),
        ]
        try withFolder { folder in
            let path = folder + "/t.safetensors"
            try SafetensorsWriter.write(to: path, tensors, metadata: [("a", "1"), ("b", "é")])
            let file = try SafetensorsFile(path: path)
            #expect(file.metadata == ["a": "1", "b": "é"])
            #expect(Set(file.names) == Set(tensors.map(\.0)))
            for (name, tensor) in tensors {
                let view = try file.tensor(name)
                #expect(view.dtype == tensor.dtype && view.shape == tensor.shape && view.bytes.elementsEqual(tensor.bytes))
                // Written so that nothing needs a copy.
                #expect(isWindow(view, on: file.file))
            }
            let bytes = try SafetensorsWriter.bytes(tensors, metadata: [("a", "1"), ("b", "é")])
            #expect(file.file.withUnsafeBytes { $0.elementsEqual(bytes) })
        }
    }

    @Test func writerRefusals() throws {
        let a = try tensor(.f32, [1])
        #expect(throws: LoadError.self) { try SafetensorsWriter.bytes([("a", a), ("a", a)]) }
        #expect(throws: LoadError.self) { try SafetensorsWriter.bytes([("q", try tensor(.q4_0, [32]))]) }
        try withFolder { folder in
            let path = folder + "/t.safetensors"
            #expect(throws: LoadError.self) { try SafetensorsWriter.write(to: path, [TensorEntry("a", .f32, [2])]) { _ in a } }
            #expect(throws: LoadError.self) { try SafetensorsWriter.write(to: path, [TensorEntry("a", .f16, [1])]) { _ in a } }
            #expect(throws: LoadError.self) { try SafetensorsWriter.write(to: folder + "/no/t.safetensors", [("a", a)]) }
            // A failed write leaves nothing behind.
            #expect(message { _ = try Checkpoint.open(folder) }.contains("holds no model"))
        }
    }
}
