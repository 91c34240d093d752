import JSON
import Tokenizers

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Where the expected values lie: the committed ones in this package, and the whole set beside it, if there is one.
enum Fixtures {
    static let package: String = {
        var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        parts.removeLast(3)
        return parts.joined(separator: "/")
    }()

    /// The folder of all fixtures: `NEEDLETAIL_FIXTURES`, or `shared/fixtures` beside the package.
    static let shared: String? = {
        let candidates = [getenv("NEEDLETAIL_FIXTURES").map { String(cString: $0) }, "\(package)/../shared/fixtures"]
        return candidates.compactMap { $0 }.first { access($0, R_OK) == 0 }
    }()

    static var committed: String { "\(package)/Tests/Fixtures/tokenizers" }

    /// The folder of a tokenizer, committed or shared.
    static func tokenizer(_ name: String) -> String? {
        let places = ["\(committed)/\(name)"] + (shared.map { ["\($0)/tokenizers/\(name)"] } ?? [])
        return places.first { access("\($0)/cases.json.gz", R_OK) == 0 || access("\($0)/cases.json", R_OK) == 0 }
    }

    static func json(_ path: String) throws -> JSONValue { try JSONValue(parsing: try TokenizerGolden.readText(path)) }

    static func load(_ json: JSONValue) throws -> Tokenizer { try load(text: json.text) }

    static func load(text: String) throws -> Tokenizer {
        let bytes = Array(text.utf8)
        return try bytes.withUnsafeBufferPointer { try Tokenizer(json: $0) }
    }

    static func ids(_ value: JSONValue?) -> [Int32] { (value?.array ?? []).map { Int32($0.int ?? -1) } }

    static func bytes(_ path: String) throws -> [UInt8] {
        guard let file = fopen(path, "rb") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = [], buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes.append(contentsOf: buffer[..<count]) }
        return bytes
    }
}
