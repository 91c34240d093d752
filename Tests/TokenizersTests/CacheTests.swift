import TemporaryPath
import Testing
import Tokenizers

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Tables that were kept give the same tokens as the file they come from, and damaged ones do no harm.
@Suite struct CacheTests {
    /// A folder that goes with the test.
    final class Folder {
        let path: String
        init() throws { path = try #require(temporaryFolder("needletail-tables")) }
        var files: [String] {
            guard let directory = opendir(path) else { return [] }
            defer { closedir(directory) }
            var names: [String] = []
            while let entry = readdir(directory) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
                if name != ".", name != ".." { names.append("\(path)/\(name)") }
            }
            return names.sorted()
        }
        deinit {
            for file in files { unlink(file) }
            rmdir(path)
        }
    }

    private static func write(_ bytes: [UInt8], to path: String) {
        unlink(path)
        let file = open(path, O_WRONLY | O_CREAT, 0o600)
        defer { close(file) }
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress.map { $0 + offset }, bytes.count - offset) }
            if count <= 0 { return }
            offset += count
        }
    }

    @Test(arguments: ["gpt2", "smollm2", "falcon", "phi3-mini", "gpt-neox-20b", "mistral-v3", "qwen2", "tiny-added", "deepseek-v4", "llama3", "gemma4", "o200k"])
    func keptTablesAreExact(_ name: String) throws {
        guard let source = Fixtures.tokenizer(name) else { return }
        let folder = try Folder()
        let first = TokenizerCache(folders: [folder.path])
        _ = try Tokenizer(contentsOf: source, cache: first)
        #expect(first.hitCount == 0)
        #expect(first.write() == 1)
        #expect(first.write() == 0)
        let second = TokenizerCache(folders: [folder.path])
        let report = try TokenizerGolden.verify(source, cache: second)
        #expect(second.hitCount == 1)
        #expect(second.write() == 0)
        #expect(report.isExact, "\(report.mismatches.joined(separator: "\n"))")
        #expect(folder.files.count == 1)
    }

    @Test func otherKindsAreReadAsTheyAre() throws {
        for name in ["t5-small", "bert-uncased", "tiny-unigram-bytes"] {
            let source = try #require(Fixtures.tokenizer(name)), folder = try Folder()
            let cache = TokenizerCache(folders: [folder.path])
            #expect(try TokenizerGolden.verify(source, cache: cache).isExact)
            #expect(cache.write() == 0)
        }
    }

    @Test func anotherFileHasOtherTables() throws {
        let folder = try Folder()
        let gpt2 = try #require(Fixtures.tokenizer("gpt2")), smollm2 = try #require(Fixtures.tokenizer("smollm2"))
        let cache = TokenizerCache(folders: [folder.path])
        _ = try Tokenizer(contentsOf: gpt2, cache: cache)
        cache.write()
        #expect(try TokenizerGolden.verify(smollm2, cache: cache).isExact)
        #expect(cache.hitCount == 0)
        #expect(cache.write() == 1)
        #expect(folder.files.count == 2)
    }

    @Test func theFirstFolderThatCanBeWrittenIsTaken() throws {
        let folder = try Folder(), source = try #require(Fixtures.tokenizer("tiny-added"))
        let cache = TokenizerCache(folders: ["/proc/needletail", folder.path])
        _ = try Tokenizer(contentsOf: source, cache: cache)
        #expect(cache.write() == 1)
        _ = try Tokenizer(contentsOf: source, cache: cache)
        #expect(cache.hitCount == 1)
        #expect(folder.files.count == 1)
        // Nowhere to write: nothing is lost but time.
        let none = TokenizerCache(folders: ["/proc/needletail"])
        _ = try Tokenizer(contentsOf: source, cache: none)
        #expect(none.write() == 0)
    }

    @Test func filesThatOthersCouldWriteAreNotRead() throws {
        let folder = try Folder(), source = try #require(Fixtures.tokenizer("tiny-added"))
        let cache = TokenizerCache(folders: [folder.path])
        _ = try Tokenizer(contentsOf: source, cache: cache)
        cache.write()
        let file = try #require(folder.files.first)
        chmod(file, 0o666)
        _ = try Tokenizer(contentsOf: source, cache: cache)
        #expect(cache.hitCount == 0)
        chmod(file, 0o600)
        _ = try Tokenizer(contentsOf: source, cache: cache)
        #expect(cache.hitCount == 1)
    }

    /// Cut and changed files: passed over where their own hash tells; where it does not (it was made anew), at least never read beyond.
    @Test func damageDoesNoHarm() throws {
        let folder = try Folder(), source = try #require(Fixtures.tokenizer("tiny-added"))
        let cache = TokenizerCache(folders: [folder.path])
        let whole = try Tokenizer(contentsOf: source, cache: cache)
        cache.write()
        let text = "The swift, 3 words <|x|> étude 東京 \u{1F426}\n\n"
        let expected = try whole.encode(text, addSpecialTokens: true)
        let file = try #require(folder.files.first)
        let bytes = try Fixtures.bytes(file)
        var generator = Seeded(state: 7)
        let header = 192
        for round in 0..<600 {
            var damaged = bytes
            switch round % 3 {
            case 0: damaged.removeLast(Int.random(in: 1...damaged.count, using: &generator))
            default:
                for _ in 0...Int.random(in: 0...3, using: &generator) {
                    damaged[Int.random(in: 0..<damaged.count, using: &generator)] = [0, 1, 0x7F, 0x80, 0xFF, .random(in: 0...255, using: &generator)].randomElement(using: &generator) ?? 0
                }
            }
            let isResealed = round % 3 == 2 && damaged.count > header
            if isResealed {
                let hash = damaged.withUnsafeBytes { ContentChecksum.hash(UnsafeRawBufferPointer(rebasing: $0[header...])) }
                withUnsafeBytes(of: hash) { for (place, byte) in $0.enumerated() { damaged[24 + place] = byte } }
            }
            Self.write(damaged, to: file)
            let tokenizer = try? Tokenizer(contentsOf: source, cache: cache)
            let found = try? tokenizer?.encode(text, addSpecialTokens: true)
            if !isResealed, damaged != bytes { #expect(found == expected, "round \(round)") }
            if let tokenizer { for id in found ?? [] { _ = tokenizer.text(of: id) } }
        }
    }

    struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }
}
