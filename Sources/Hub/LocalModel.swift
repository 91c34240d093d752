/// A model that is here, ready to be loaded.
package struct LocalModel: Sendable, Equatable {
    package let format: ModelFormat
    /// The folder with configuration and tokenizer files; for GGUF the one that holds the (first) file.
    package let folder: String
    /// Absolute paths of the weights, in order: all shards, or the GGUF file with its further parts.
    package let weights: [String]
    /// How to call it in answers: what the user said, without paths.
    package let name: String
    /// The hub's commit, for models from there.
    package let commit: String?

    package init(format: ModelFormat, folder: String, weights: [String], name: String, commit: String? = nil) {
        (self.format, self.folder, self.weights, self.name, self.commit) = (format, folder, weights, name, commit)
    }

    /// What is in a folder, chosen by the same rules as on the hub.
    package static func inFolder(_ path: String, choice: String? = nil) throws(HubError) -> LocalModel {
        let folder = Files.absolute(path)
        let chosen = try ModelFiles.choose(from: try Files.tree(folder), choice: choice, name: path)
        var weights = chosen.weights
        if let index = chosen.index {
            let indexPath = Files.join(folder, index)
            guard let bytes = Files.contents(indexPath, limit: 256 << 20) else {
                throw .file(path: indexPath, action: "read", reason: "it cannot be read or is longer than 256 MiB")
            }
            weights = try ModelFiles.shards(index: bytes, path: indexPath)
            if let missing = weights.first(where: { Files.size(Files.join(folder, $0)) == nil }) {
                throw .file(path: Files.join(folder, missing), action: "find", reason: "\(index) names it but it is not there")
            }
        }
        return LocalModel(
            format: chosen.format, folder: folder, weights: weights.map { Files.join(folder, $0) }, name: lastName(folder))
    }

    /// A GGUF file; if it is the first of several parts, all of them.
    package static func file(_ path: String) throws(HubError) -> LocalModel {
        let file = Files.absolute(path), folder = Files.parent(file)
        let base = lastName(file)
        guard Files.kind(file) == .file else { throw .file(path: file, action: "find", reason: "there is no such file") }
        let siblings = (try? Files.list(folder)) ?? [base]
        let model = GGUFChoice.models(in: siblings).first { $0.parts.contains(base) }
        if let missing = model?.missingParts.first {
            throw .file(path: Files.join(folder, missing), action: "find", reason: "it is a part of \(base)")
        }
        let parts = model?.parts ?? [base]
        return LocalModel(
            format: .gguf, folder: folder, weights: parts.map { Files.join(folder, $0) }, name: model?.stem ?? base)
    }

    private static func lastName(_ path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? path
    }
}
