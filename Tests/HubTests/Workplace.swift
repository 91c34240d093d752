#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif
import Hub
import Progress
import Synchronization
import TemporaryPath

/// A folder of one test's own, removed with it.
final class Workplace: Sendable {
    let path: String

    init() throws {
        guard let folder = temporaryFolder("needletail-hub") else {
            throw HubError.file(path: temporaryPath(""), action: "make a folder in", reason: "mkdtemp failed")
        }
        path = folder
    }

    deinit { Self.removeTree(path) }

    func file(_ name: String, _ bytes: [UInt8] = [0]) throws -> String {
        let file = Files.join(path, name)
        try Files.createFolder(Files.parent(file))
        try Files.replace(file, with: bytes)
        return file
    }

    func environment(_ hub: TestHub, _ more: [String: String] = [:]) -> [String: String] {
        ["HOME": path, "HF_HOME": Files.join(path, "hf"), "HF_ENDPOINT": hub.endpoint].merging(more) { $1 }
    }

    /// Quick retries and a read timeout of one second.
    func settings(_ hub: TestHub, _ more: [String: String] = [:]) throws -> HubSettings {
        var settings = try HubSettings(environment: environment(hub, ["HF_HUB_DOWNLOAD_TIMEOUT": "1"].merging(more) { $1 }))
        settings.retries.firstDelay = .milliseconds(2)
        settings.retries.longestDelay = .milliseconds(20)
        return settings
    }

    func cache(_ id: String) -> RepoCache {
        RepoCache(root: Files.join(path, "hf/hub"), repo: RepoID(id)!)
    }

    static func linkTarget(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &buffer, buffer.count)
        return count < 0 ? nil : String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func removeTree(_ path: String) {
        for name in (try? Files.list(path)) ?? [] {
            let child = Files.join(path, name)
            if linkTarget(child) == nil, Files.kind(child) == .folder { removeTree(child) } else { unlink(child) }
        }
        rmdir(path)
    }
}

/// Keeps what was reported.
final class RecordedProgress: ProgressReporter {
    struct Record: Sendable {
        var names: [String] = []
        var done: [Int: Int] = [:]
        var totals: [Int: Int] = [:]
        var outcomes: [Int: ProgressOutcome] = [:]
        var notes: [String] = []
        var planned = 0
    }

    private let record = Mutex(Record())
    var now: Record { record.withLock { $0 } }

    func plan(_ title: String, total: Int, unit: ProgressUnit) { record.withLock { $0.planned += total } }
    func begin(_ name: String, total: Int?, done: Int, unit: ProgressUnit) -> ProgressItem {
        record.withLock {
            let id = $0.names.count
            $0.names.append(name)
            $0.done[id] = done
            $0.totals[id] = total
            return ProgressItem(id: id)
        }
    }
    func advance(_ item: ProgressItem, by amount: Int) { record.withLock { $0.done[item.id, default: 0] += amount } }
    func move(_ item: ProgressItem, to done: Int) { record.withLock { $0.done[item.id] = done } }
    func finish(_ item: ProgressItem, _ outcome: ProgressOutcome) { record.withLock { $0.outcomes[item.id] = outcome } }
    func note(_ message: String) { record.withLock { $0.notes.append(message) } }
    func close() {}
}

/// Bytes that differ everywhere, the same in every run.
func content(_ size: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    return (0..<size).map { _ in
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return UInt8(truncatingIfNeeded: state >> 32)
    }
}

/// A small model as the hub would hold it, with copies for other programs beside it.
func smallModel(_ id: String = "acme/tiny") -> TestHub.Repo {
    var repo = TestHub.Repo(id: id, files: [
        "config.json": Array(#"{"model_type":"llama"}"#.utf8),
        "generation_config.json": Array("{}".utf8),
        "tokenizer.json": content(40_000, seed: 2),
        "tokenizer_config.json": Array(#"{"a":1}"#.utf8),
        "chat_template.jinja": Array("{{ messages }}".utf8),
        "model.safetensors": content(300_000, seed: 3),
        "README.md": Array("# tiny".utf8),
        ".gitattributes": Array("* lfs".utf8),
        "pytorch_model.bin": content(5000, seed: 4),
        "original/consolidated.00.pth": content(5000, seed: 5),
        "consolidated.safetensors": content(5000, seed: 6),
        "onnx/model.onnx": content(5000, seed: 7),
        "flax_model.msgpack": content(5000, seed: 8),
    ])
    repo.large = ["model.safetensors", "tokenizer.json", "pytorch_model.bin"]
    return repo
}
