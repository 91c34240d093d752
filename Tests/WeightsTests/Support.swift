import FoundationEssentials
import Tensors
import Testing
import Weights

/// A folder that is gone after `body`.
func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.path + "/weights-\(UInt64.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try body(folder)
}

func write(_ text: String, to path: String) throws { try write(Array(text.utf8), to: path) }

func write(_ bytes: [UInt8], to path: String) throws { try Data(bytes).write(to: URL(filePath: path)) }

/// A file in memory.
func mapped(_ bytes: [UInt8], _ name: String = "memory") throws -> MappedFile {
    try bytes.withUnsafeBytes { try MappedFile(contents: $0, name: name) }
}

func mapped(_ text: String, _ name: String = "memory") throws -> MappedFile { try mapped(Array(text.utf8), name) }

/// A tensor of bytes that count up from `first`.
func tensor(_ dtype: DType, _ shape: Shape, first: UInt8 = 0) throws -> TensorView {
    try TensorView.make(dtype, shape) { bytes in
        for index in bytes.indices { bytes[index] = first &+ UInt8(truncatingIfNeeded: index) }
    }
}

func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }

/// The message of the `LoadError` that `body` must throw.
func message(_ body: () throws -> Void) -> String {
    do {
        try body()
        Issue.record("nothing was thrown")
        return ""
    } catch let error as LoadError {
        return error.description
    } catch {
        Issue.record("not a LoadError: \(error)")
        return ""
    }
}

/// Where the model fixtures are: `NEEDLETAIL_FIXTURES`, or `../shared/fixtures` beside the package. nil where there are none.
let fixtures: String? = {
    let root = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
    let path = ProcessInfo.processInfo.environment["NEEDLETAIL_FIXTURES"] ?? root + "/../shared/fixtures"
    return FileManager.default.fileExists(atPath: path + "/models") ? path : nil
}()

/// Whether the tensor lies in a mapped file (that one, if given) rather than in a copy. A function, because the compiler (6.3.1) crashes
/// on `===` with an existential inside `#expect`.
func isWindow(_ view: TensorView, on file: MappedFile? = nil) -> Bool {
    guard let owner = view.owner as? MappedFile else { return false }
    return file.map { $0 === owner } ?? true
}
