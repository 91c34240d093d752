/// Work space of a step: buffers that grow to the largest size a step has needed and are then reused, so that a warm step allocates nothing.
///
/// A buffer that cannot grow leaves `fault` set and the verb undone; the step throws it when its logits are asked for.
final class CPUScratch {
    private(set) var fault: BackendError?
    /// One address per worker, for unpacked weight panels and attention tiles.
    private(set) var workerBases: [UnsafeMutableRawPointer?]
    private var workerBytes = 0
    private var workerMemory: [HostMemory] = []
    private var buffers: [HostMemory?] = Array(repeating: nil, count: Use.allCases.count)

    /// What a buffer is for.
    enum Use: Int, CaseIterable {
        /// Activations of the product at hand, rounded to what its kernel takes.
        case narrowed
        /// Partial attention results of split sequences.
        case partials
        case logits
        /// A mixture of experts: its input in float32, the router's logits, the rows of the chosen experts, rows with their elements in
        /// another order, what the first and second products give.
        case mixtureInput, routerLogits, expertRows, reordered, expertInner, expertOutput
        /// `A x` of adapters.
        case lowered
    }

    /// Remembers what went wrong in a verb that cannot throw.
    func fail(_ error: BackendError) {
        if fault == nil { fault = error }
    }

    init(workers: Int) {
        workerBases = Array(repeating: nil, count: workers)
    }

    /// Throws what went wrong in the verbs so far, once.
    func check() throws {
        guard let fault else { return }
        self.fault = nil
        throw fault
    }

    /// Whether each worker has `worker` bytes.
    func reserve(worker byteCount: Int) -> Bool {
        if byteCount <= workerBytes { return true }
        do {
            workerMemory = try workerBases.map { _ in try HostMemory(byteCount: byteCount, for: "a compute thread's work space") }
            workerBases = workerMemory.map { $0.base }
            workerBytes = byteCount
            return true
        } catch {
            fault = .outOfMemory(what: "work space", byteCount: byteCount)
            return false
        }
    }

    func narrowed(_ byteCount: Int) -> UnsafeMutableRawPointer? { buffer(.narrowed, byteCount) }
    func partials(_ byteCount: Int) -> UnsafeMutableRawPointer? { buffer(.partials, byteCount) }
    /// `A x` of adapters.
    func lowered(_ byteCount: Int) -> UnsafeMutableRawPointer? { buffer(.lowered, byteCount) }
    func logits(_ byteCount: Int) -> UnsafeMutableRawPointer? { buffer(.logits, byteCount) }

    /// Memory for one use, until the next call for the same use that asks for more; nil where there is none.
    func buffer(_ use: Use, _ byteCount: Int) -> UnsafeMutableRawPointer? {
        if let memory = buffers[use.rawValue], memory.byteCount >= byteCount { return memory.base }
        do {
            let grown = try HostMemory(byteCount: byteCount + byteCount / 4, for: "work space")
            buffers[use.rawValue] = grown
            return grown.base
        } catch {
            fault = .outOfMemory(what: "work space", byteCount: byteCount)
            return nil
        }
    }
}
