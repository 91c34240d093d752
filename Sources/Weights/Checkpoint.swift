package import Tensors

/// A model's files behind one face, whatever their format: a folder in the hub's layout or a GGUF file (perhaps split into several).
///
/// Opening reads tables of contents only; tensors are windows on the mapped files, and their pages are read when first touched.
package struct Checkpoint: Sendable {
    package enum Format: Sendable { case safetensors, gguf }

    /// What was opened: the folder, or the (first) GGUF file.
    package let path: String
    /// Where `config.json` and the like are looked for; nil for a GGUF file named by itself, as what lies beside it need not belong to it.
    package let folder: String?
    package let format: Format
    /// The metadata of a GGUF file.
    package let gguf: GGUFMetadata?
    /// Tensors in the order of the files.
    package private(set) var records: [TensorRecord]
    /// Name to place in `records`, under the names that this checkpoint shows.
    private var places: [String: Int]
    package private(set) var names: [String]

    /// A single file that is open already.
    package init(_ file: SafetensorsFile) throws(LoadError) {
        try self.init(path: file.file.path, folder: nil, format: .safetensors, gguf: nil, records: file.records)
    }

    /// A single file that is open already.
    package init(_ file: GGUFFile) throws(LoadError) {
        try self.init(path: file.file.path, folder: nil, format: .gguf, gguf: file.metadata, records: file.records)
    }

    init(path: String, folder: String?, format: Format, gguf: GGUFMetadata?, records: [TensorRecord]) throws(LoadError) {
        self.path = path
        self.folder = folder
        self.format = format
        self.gguf = gguf
        self.records = records
        names = records.map(\.name)
        places = [:]
        try fillPlaces()
    }

    private mutating func fillPlaces() throws(LoadError) {
        places = [String: Int](minimumCapacity: names.count)
        for (place, name) in names.enumerated() {
            if let other = places.updateValue(place, forKey: name) {
                throw .duplicateTensor(name: name, file: records[place].file.path, otherFile: records[other].file.path)
            }
        }
    }

    /// The same checkpoint under other tensor names, for instance GGUF's as the hub's. Throws where two names become one.
    /// - Parameter newName: nil keeps the name.
    package func renamed(_ newName: (String) -> String?) throws(LoadError) -> Checkpoint {
        var copy = self
        copy.names = names.map { newName($0) ?? $0 }
        try copy.fillPlaces()
        return copy
    }

    package func contains(_ name: String) -> Bool { places[name] != nil }

    /// What the file says of a tensor, without touching its data.
    package func record(_ name: String) -> TensorRecord? { places[name].map { records[$0] } }

    package func tensor(_ name: String) throws(LoadError) -> TensorView {
        guard let record = record(name) else { throw .missingTensor(name: name, file: path) }
        return try record.view()
    }

    /// Part `rank` of `parts` along a dimension: a window for the outermost one, a copy for others.
    package func slice(_ name: String, dimension: Int, rank: Int, of parts: Int) throws(LoadError) -> TensorView {
        let view = try tensor(name)
        do {
            return try view.slice(dimension: dimension, rank: rank, of: parts)
        } catch {
            throw .slice(name: name, file: record(name)?.file.path ?? path, reason: error.reason)
        }
    }

    /// Bytes of all tensors.
    package var byteCount: Int {
        records.reduce(0) { (sum, record) in
            let (total, overflow) = sum.addingReportingOverflow(record.byteCount)
            return overflow ? Int.max : total
        }
    }

    /// Tells the kernel how the files will be used: `.willNeed` starts reading them all.
    package func advise(_ advice: MappedFile.Advice) {
        var previous: MappedFile?
        for record in records where record.file !== previous {
            record.file.advise(advice)
            previous = record.file
        }
    }

    /// Where a model starts taking its tensors.
    /// - quantization: how quantised layers are stored; nil reads it from the files beside the weights when the first one is asked for.
    package func weights(_ shard: Shard = .whole, quantization: QuantizationScheme? = nil) -> WeightScope {
        WeightScope(checkpoint: self, shard: shard, quantization: quantization)
    }
}

/// Which part of a tensor-parallel group this process is.
package struct Shard: Sendable, Hashable {
    package let rank: Int
    package let count: Int

    package static let whole = Shard(rank: 0, count: 1)

    package init(rank: Int, count: Int) {
        precondition(count > 0 && 0..<count ~= rank, "rank \(rank) of \(count)")
        self.rank = rank
        self.count = count
    }
}
