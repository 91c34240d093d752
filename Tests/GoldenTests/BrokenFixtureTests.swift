import Compute
import FoundationEssentials
import Golden
import JSON
import Models
import Testing
import Weights

/// One tensor of each fixture is taken away, cut otherwise, or given another element type: the error is one line that names it.
@Suite struct BrokenFixtureTests {
    enum Damage: CaseIterable { case missing, misshapen, mistyped }

    /// Folders with one safetensors file.
    static let folders = ModelFixtureTests.folders.filter { FileManager.default.fileExists(atPath: $0.path + "/model.safetensors") }

    @Test func fixturesAreThere() {
        #expect(Self.folders.count >= 90)
    }

    @Test(arguments: folders, Damage.allCases)
    func isNamed(_ folder: GoldenFolder, _ damage: Damage) throws {
        let copy = FileManager.default.temporaryDirectory.path + "/broken-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: copy) }
        try FileManager.default.copyItem(atPath: folder.path + "/config.json", toPath: copy + "/config.json")
        let bytes = [UInt8](try #require(FileManager.default.contents(atPath: folder.path + "/model.safetensors")))
        let (spoilt, name) = try Self.spoil(bytes, damage)
        #expect(FileManager.default.createFile(atPath: copy + "/model.safetensors", contents: Data(spoilt)))
        do {
            let backend = CPUBackend(.init(threadCount: 1, maxBatchedTokens: 16))
            _ = try ModelSource(path: copy).load(on: backend, options: ModelOptions(cacheByteCount: 64 << 20, maxBatchedTokens: 16))
            Issue.record("\(folder.name) loads although '\(name)' is \(damage)")
        } catch {
            let text = "\(error)"
            #expect(text.contains(name), "\(damage) '\(name)': \(text)")
            #expect(!text.contains("\n"))
        }
    }

    /// A matrix of the middle of the file, which no family does without.
    private static func spoil(_ bytes: [UInt8], _ damage: Damage) throws -> (bytes: [UInt8], name: String) {
        let length = (0..<8).reversed().reduce(0) { $0 << 8 | Int(bytes[$1]) }
        var header = try #require(JSONValue(parsing: Array(bytes[8..<8 + length])).object)
        let name = try #require(
            header.members.map(\.key).first { $0.hasSuffix("down_proj.weight") || $0.hasSuffix("o_proj.weight") || $0.hasSuffix("dense.weight") }
                ?? header.members.map(\.key).first { $0.hasSuffix("c_proj.weight") || $0.hasSuffix("out_proj.weight") || $0.hasSuffix("o_proj.qweight") || $0.hasSuffix("o_proj.weight_packed") })
        var entry = try #require(header[name]?.object)
        switch damage {
        case .missing:
            // Renamed, as files must not have holes.
            header = JSONObject(header.members.map { ($0.key == name ? name + "_" : $0.key, $0.value) })
        case .misshapen:
            let shape = try #require(entry["shape"]?.array).compactMap(\.int)
            entry["shape"] = .array([.int(shape.reduce(1, *)), .int(1)])
            header[name] = .object(entry)
        case .mistyped:
            let names = ["F32": "I32", "BF16": "I16", "F16": "I16", "I32": "F32", "I8": "BOOL", "F8_E4M3": "BOOL"]
            entry["dtype"] = .string(try #require(names[entry["dtype"]?.string ?? ""]))
            header[name] = .object(entry)
        }
        // The data stays where it is: a header of the same length, padded with spaces.
        var text = Array(JSONValue.object(header).text.utf8)
        let padding = max(0, length - text.count)
        text += Array(repeating: UInt8(ascii: " "), count: padding)
        let size = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) }
        return (size + text + bytes[(8 + length)...], name)
    }
}
