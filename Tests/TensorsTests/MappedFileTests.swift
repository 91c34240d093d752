import FoundationEssentials
import Tensors
import Testing

struct MappedFileTests {
    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/tensors-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private func reason(_ path: String) -> String? {
        do {
            _ = try MappedFile(path: path)
            return nil
        } catch {
            #expect(error.path == path)
            return error.reason
        }
    }

    @Test func contentAndAdvice() throws {
        try withFolder { folder in
            let content = (0..<10_000).map { UInt8(truncatingIfNeeded: $0) }
            #expect(FileManager.default.createFile(atPath: folder + "/f", contents: Data(content)))
            let file = try MappedFile(path: folder + "/f")
            for advice in [MappedFile.Advice.willNeed, .sequential, .random, .dontNeed, .normal] {
                file.advise(advice)
                file.advise(advice, 5000..<6000)
                file.advise(advice, 9_999..<1_000_000)
                file.advise(advice, 20_000..<30_000)
            }
            #expect(Array(file.bytes) == content)
            #expect(file.byteCount == 10_000)
        }
    }

    @Test func refusals() throws {
        try withFolder { folder in
            #expect(reason(folder + "/none") == "no such file")
            #expect(reason(folder) == "is a directory, not a file")
            #expect(reason("/dev/null") == "is not a regular file")
            #expect(FileManager.default.createFile(atPath: folder + "/empty", contents: Data()))
            #expect(reason(folder + "/empty") == "is empty")
            #expect(reason(folder + "/empty/x") == "a part of the path is not a directory")
        }
    }

    /// A view keeps its file mapped after everybody else let go of it.
    @Test func viewsKeepTheMapping() throws {
        final class Watch { weak var file: MappedFile? }
        let watch = Watch()
        func view() throws -> TensorView {
            let file = try [UInt8](1...8).withUnsafeBytes { try MappedFile(contents: $0, name: "memory") }
            watch.file = file
            return try #require(TensorView(dtype: .u8, shape: [2, 4], bytes: file.bytes, owner: file)).rows(1..<2)
        }
        var held: TensorView? = try view()
        #expect(watch.file != nil)
        #expect(try held?.integers() == [5, 6, 7, 8])
        held = nil
        #expect(watch.file == nil)
    }
}
