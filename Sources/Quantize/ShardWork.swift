import Compute
import Progress
import Tensors
import Weights

/// Makes a shard's tensors when the writer asks for them. A layer's weight becomes several tensors that the file does not keep together; the
/// small ones are held until their turn comes, so that the work is done once and memory stays bounded.
struct ShardWork {
    let conversion: HubConversion
    let backend: CPUBackend
    let progress: any ProgressReporter
    let item: ProgressItem
    private var held: [String: TensorView] = [:]

    init(conversion: HubConversion, backend: CPUBackend, progress: any ProgressReporter, item: ProgressItem) {
        self.conversion = conversion
        self.backend = backend
        self.progress = progress
        self.item = item
    }

    mutating func tensor(_ entry: TensorEntry, of source: String) throws -> TensorView {
        if let view = held.removeValue(forKey: entry.name) { return view }
        let view = try conversion.checkpoint.tensor(source)
        if entry.name == source, entry.dtype == view.dtype || !conversion.isQuantised(source) {
            progress.advance(item, by: view.byteCount)
            if entry.dtype == view.dtype { return view }
            return try RowQuantiser(backend: backend).tensor(FloatRows(view, name: source), entry.dtype, shape: entry.shape)
        }
        if entry.name.hasSuffix(".weight_shape") { return try FourBitMatrix.shapeTensor(view.shape) }
        let module = String(source.dropLast(".weight".count))
        let pieces = try conversion.pieces(of: FloatRows(view, name: source), on: backend)
        let largest = pieces.max { $0.1.byteCount < $1.1.byteCount }?.0
        var wanted: TensorView?
        for (suffix, piece) in pieces {
            if "\(module).\(suffix)" == entry.name {
                wanted = piece
            } else if suffix != largest {
                held["\(module).\(suffix)"] = piece
            }
        }
        // Counted when the largest part is written.
        if "\(module).\(largest ?? "")" == entry.name { progress.advance(item, by: view.byteCount) }
        guard let wanted else { throw QuantiseError("'\(entry.name)' was not made") }
        return wanted
    }
}
