import Synchronization
package import Tensors

/// A place in a checkpoint's tree of names: `weights["model"]["layers"][3]["self_attn"]`. Models take their tensors from it; every
/// tensor taken is counted off, so that what is left over at the end is known.
package struct WeightScope: Sendable {
    package let checkpoint: Checkpoint
    /// Which part of split tensors to hand out.
    package let shard: Shard
    /// Empty, or names joined and ended by dots.
    package let prefix: String
    let ledger: TensorLedger

    init(checkpoint: Checkpoint, shard: Shard, quantization: QuantizationScheme? = nil) {
        self.init(checkpoint, shard, "", TensorLedger(quantization))
    }

    private init(_ checkpoint: Checkpoint, _ shard: Shard, _ prefix: String, _ ledger: TensorLedger) {
        self.checkpoint = checkpoint
        self.shard = shard
        self.prefix = prefix
        self.ledger = ledger
    }

    /// The scope below. The empty name is this scope itself, so that an optional root needs no branch.
    package subscript(name: String) -> WeightScope {
        name.isEmpty ? self : WeightScope(checkpoint, shard, prefix + name + ".", ledger)
    }

    package subscript(index: Int) -> WeightScope { self[String(index)] }

    /// The same scope handing out whole tensors: for parts of a model that are replicated over the ranks.
    package var whole: WeightScope { WeightScope(checkpoint, .whole, prefix, ledger) }

    package func contains(_ name: String) -> Bool { checkpoint.contains(prefix + name) }

    /// What the file says of a tensor; does not count it off.
    package func record(_ name: String) -> TensorRecord? { checkpoint.record(prefix + name) }

    /// All names in this scope, without its prefix, in file order.
    package var names: [String] {
        checkpoint.names.compactMap { $0.utf8.starts(with: prefix.utf8) ? String(Substring($0.utf8.dropFirst(prefix.utf8.count))) : nil }
    }

    /// Takes a tensor.
    /// - shape: what the whole tensor must have; nil takes any.
    /// - split: the dimension along which the ranks of a group share the tensor; nil hands out all of it.
    package func tensor(_ name: String, shape: Shape? = nil, split: Int? = nil) throws(LoadError) -> TensorView {
        let full = prefix + name
        guard let record = checkpoint.record(full) else { throw .missingTensor(name: full, file: checkpoint.path) }
        if let shape, shape != record.shape {
            throw .shapeMismatch(name: full, file: record.file.path, expected: shape, found: record.shape)
        }
        ledger.take(full)
        guard let split, shard.count > 1 else { return try checkpoint.tensor(full) }
        return try checkpoint.slice(full, dimension: split, rank: shard.rank, of: shard.count)
    }

    /// Takes a tensor of plain floating point elements: norms, biases and the like.
    package func parameters(_ name: String, shape: Shape) throws(LoadError) -> TensorView {
        let view = try tensor(name, shape: shape)
        guard Self.parameterTypes.contains(view.dtype) else { throw mistyped(name, view, Self.parameterTypes) }
        return view
    }

    /// Takes such a tensor if there is one of that name.
    package func optionalParameters(_ name: String, shape: Shape) throws(LoadError) -> TensorView? {
        contains(name) ? try parameters(name, shape: shape) : nil
    }

    /// Takes a tensor of weights: plain floating point, or of a GGUF block type.
    package func weights(_ name: String, shape: Shape) throws(LoadError) -> TensorView {
        let view = try tensor(name, shape: shape)
        guard Self.parameterTypes.contains(view.dtype) || view.dtype.isBlockQuantised else { throw mistyped(name, view, Self.parameterTypes) }
        return view
    }

    private static let parameterTypes: [DType] = [.f32, .f16, .bf16]

    func mistyped(_ name: String, _ view: TensorView, _ expected: [DType]) -> LoadError {
        .dtypeMismatch(name: prefix + name, file: record(name)?.file.path ?? checkpoint.path, expected: expected, found: view.dtype)
    }

    /// Takes a tensor if there is one of that name.
    package func optional(_ name: String, shape: Shape? = nil, split: Int? = nil) throws(LoadError) -> TensorView? {
        contains(name) ? try tensor(name, shape: shape, split: split) : nil
    }

    /// Counts a tensor off without using it.
    package func ignore(_ name: String) { ledger.take(prefix + name) }

    /// Tensors of the whole checkpoint that were not taken through any scope of this tree, except those matching a pattern, in which
    /// `*` stands for any characters: `*.rotary_emb.inv_freq`.
    package func unused(ignoring patterns: [String] = []) -> [String] {
        let taken = ledger.taken
        return checkpoint.names.filter { name in
            !taken.contains(name) && !patterns.contains { NamePattern($0).matches(name) }
        }
    }

    /// Throws `LoadError.unusedTensors` where `unused(ignoring:)` has any.
    package func requireAllUsed(ignoring patterns: [String] = []) throws(LoadError) {
        let names = unused(ignoring: patterns)
        if !names.isEmpty { throw .unusedTensors(names: names, file: checkpoint.path) }
    }
}

/// What the scopes of one tree share: names taken so far, and what is known about quantisation.
final class TensorLedger: Sendable {
    private struct State {
        var taken: Set<String> = []
        var scheme: Result<QuantizationScheme, LoadError>?
        var report = QuantizationReport()
    }

    private let state: Mutex<State>

    init(_ scheme: QuantizationScheme?) { state = Mutex(State(scheme: scheme.map { .success($0) })) }

    func take(_ name: String) { state.withLock { _ = $0.taken.insert(name) } }

    var taken: Set<String> { state.withLock { $0.taken } }

    var report: QuantizationReport { state.withLock { $0.report } }

    func note(_ weight: StoredWeight, _ settings: ModuleQuantization?) { state.withLock { $0.report.note(weight, settings) } }

    /// The checkpoint's own scheme, read at the first call.
    func scheme(of checkpoint: Checkpoint) throws(LoadError) -> QuantizationScheme {
        if let known = state.withLock({ $0.scheme }) { return try known.get() }
        let read: Result<QuantizationScheme, LoadError>
        do {
            let scheme = try checkpoint.quantization()
            try checkpoint.requireQuantized(scheme)
            read = .success(scheme)
        } catch {
            read = .failure(error)
        }
        state.withLock { $0.scheme = read }
        return try read.get()
    }
}
