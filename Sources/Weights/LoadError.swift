package import Tensors

/// Why a checkpoint cannot be opened or a tensor not be handed out.
package enum LoadError: Error, Sendable, Equatable {
    /// A file or folder that cannot be opened or is missing.
    case file(path: String, reason: String)
    /// A file that breaks the rules of its format. `tensor` is the tensor or metadata key concerned, where there is one.
    case malformed(file: String, tensor: String?, reason: String)
    case missingTensor(name: String, file: String)
    case duplicateTensor(name: String, file: String, otherFile: String)
    case shapeMismatch(name: String, file: String, expected: Shape, found: Shape)
    case dtypeMismatch(name: String, file: String, expected: [DType], found: DType)
    /// An element type that we do not know, by the format's own name for it.
    case unknownType(name: String, file: String, type: String)
    /// A tensor that cannot be cut as asked.
    case slice(name: String, file: String, reason: String)
    /// A configuration value that is missing or not as it must be.
    case config(file: String, key: String, reason: String)
    /// Tensors that no part of the model took.
    case unusedTensors(names: [String], file: String)
    /// A model that we read but do not support.
    case unsupported(file: String, reason: String)
}

extension LoadError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .file(let path, let reason): "\(path): \(reason)"
        case .malformed(let file, let tensor?, let reason): "\(file): '\(tensor)': \(reason)"
        case .malformed(let file, nil, let reason): "\(file): \(reason)"
        case .missingTensor(let name, let file): "\(file): tensor '\(name)' is missing"
        case .duplicateTensor(let name, let file, let other): "\(file): tensor '\(name)' is in \(other) too"
        case .shapeMismatch(let name, let file, let expected, let found):
            "\(file): tensor '\(name)' has shape \(found), but the configuration asks for \(expected)"
        case .dtypeMismatch(let name, let file, let expected, let found):
            "\(file): tensor '\(name)' has type \(found), expected \(expected.map(\.description).joined(separator: " or "))"
        case .unknownType(let name, let file, let type): "\(file): tensor '\(name)' has the unknown element type \(type)"
        case .slice(let name, let file, let reason): "\(file): tensor '\(name)' cannot be split: \(reason)"
        case .config(let file, let key, let reason): "\(file): '\(key)' \(reason)"
        case .unusedTensors(let names, let file):
            "\(file): \(names.count) tensors are not used by this architecture: \(names.prefix(8).joined(separator: ", "))"
                + (names.count > 8 ? ", …" : "")
        case .unsupported(let file, let reason): "\(file): \(reason)"
        }
    }

    init(_ error: FileError) { self = .file(path: error.path, reason: error.reason) }
}
