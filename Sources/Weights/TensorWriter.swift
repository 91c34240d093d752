package import Tensors

/// A tensor to be written: its data is asked for when its turn comes, so that a large model need not be in memory at once.
package struct TensorEntry: Sendable {
    package let name: String
    package let dtype: DType
    package let shape: Shape

    package init(_ name: String, _ dtype: DType, _ shape: Shape) {
        self.name = name
        self.dtype = dtype
        self.shape = shape
    }
}

/// Writes a file's tensors in order after a header, with zeros up to each one's offset. Both formats end in this.
struct TensorWriter {
    let path: String
    /// Place in the caller's list and offset from the start of the data, ascending.
    let layout: [(index: Int, offset: Int)]
    let entries: [TensorEntry]
    /// Bytes after the last tensor up to a multiple of this.
    let finalAlignment: Int

    func write(
        header: [UInt8], data: (Int) throws -> TensorView, emit: (UnsafeRawBufferPointer) throws(LoadError) -> Void
    ) throws(LoadError) {
        try Self.emit(header, emit)
        var end = 0
        for (index, offset) in layout {
            try pad(offset - end, emit)
            let entry = entries[index], view: TensorView
            do {
                view = try data(index)
            } catch let error as LoadError {
                throw error
            } catch {
                throw .malformed(file: path, tensor: entry.name, reason: "cannot be written: \(error)")
            }
            guard view.dtype == entry.dtype else {
                throw .dtypeMismatch(name: entry.name, file: path, expected: [entry.dtype], found: view.dtype)
            }
            guard view.shape == entry.shape else {
                throw .shapeMismatch(name: entry.name, file: path, expected: entry.shape, found: view.shape)
            }
            try view.withUnsafeBytes(emit)
            end = offset + view.byteCount
        }
        try pad(-end & (finalAlignment - 1), emit)
    }

    private func pad(_ count: Int, _ emit: (UnsafeRawBufferPointer) throws(LoadError) -> Void) throws(LoadError) {
        if count > 0 { try Self.emit([UInt8](repeating: 0, count: count), emit) }
    }

    private static func emit(_ bytes: [UInt8], _ emit: (UnsafeRawBufferPointer) throws(LoadError) -> Void) throws(LoadError) {
        try bytes.withUnsafeBufferPointer { buffer throws(LoadError) in try emit(UnsafeRawBufferPointer(buffer)) }
    }

    /// The checked size of each entry; throws for impossible shapes and repeated names.
    static func sizes(_ entries: [TensorEntry], path: String) throws(LoadError) -> [Int] {
        var names: Set<String> = [], sizes: [Int] = []
        for entry in entries {
            guard names.insert(entry.name).inserted else { throw .duplicateTensor(name: entry.name, file: path, otherFile: path) }
            guard let size = entry.shape.byteCount(entry.dtype) else {
                throw .malformed(file: path, tensor: entry.name, reason: "shape \(entry.shape) is not possible for \(entry.dtype)")
            }
            sizes.append(size)
        }
        return sizes
    }
}
