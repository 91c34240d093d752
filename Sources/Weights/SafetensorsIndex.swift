import JSON
package import Tensors

/// `model.safetensors.index.json`: which shard holds which tensor.
package struct SafetensorsIndex: Sendable {
    package let path: String
    /// Tensor name and file name, in the order of the index.
    package let weightMap: [(name: String, file: String)]

    package init(file: MappedFile) throws(LoadError) {
        path = file.path
        var map: [(name: String, file: String)] = []
        var names: Set<ByteKey> = []
        var found = false
        do {
            try JSONReader.read(file.bytes.assumingMemoryBound(to: UInt8.self), options: .init(maxDepth: 32, allowsNonFinite: true)) { reader in
                try reader.readObject { reader, key in
                    guard key == "weight_map" else { return try reader.skipValue() }
                    guard !found else { throw reader.error("weight_map appears twice") }
                    found = true
                    try reader.readObject { reader, name in
                        let shard = try reader.readString()
                        guard names.insert(ByteKey(name)).inserted else { throw reader.error("tensor '\(name)' appears twice") }
                        guard Self.isFileName(shard) else {
                            throw reader.error("tensor '\(name)' is in '\(shard)', which is no file of this folder")
                        }
                        map.append((name, shard))
                    }
                }
                try reader.finish()
            }
        } catch {
            throw .malformed(file: path, tensor: nil, reason: "\(error)")
        }
        guard found else { throw .malformed(file: path, tensor: nil, reason: "has no weight_map") }
        guard !map.isEmpty else { throw .malformed(file: path, tensor: nil, reason: "weight_map is empty") }
        weightMap = map
    }

    /// Shards in order of first mention.
    package var files: [String] {
        var seen: Set<String> = []
        return weightMap.compactMap { seen.insert($0.file).inserted ? $0.file : nil }
    }

    /// A plain name: an index must not lead out of its folder.
    private static func isFileName(_ name: String) -> Bool {
        name.utf8.hasSuffix(".safetensors") && !name.utf8.contains(UInt8(ascii: "/")) && !name.utf8.contains(0) && name.utf8.count <= 255
    }
}

extension String.UTF8View {
    func hasSuffix(_ suffix: String) -> Bool { count >= suffix.utf8.count && self.suffix(suffix.utf8.count).elementsEqual(suffix.utf8) }

    func hasPrefix(_ prefix: String) -> Bool { starts(with: prefix.utf8) }
}
