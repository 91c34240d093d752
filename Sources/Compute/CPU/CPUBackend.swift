import CKernels
import Tensors

/// The CPU backend: C kernels chosen at run time, a pool of threads, weights as mapped or repacked in panels.
///
/// Every kernel sums in an order that depends only on the row it computes, and work is cut without regard to what else is in the batch,
/// so a request's logits are bit-identical whatever runs beside it, and however its prompt was chunked.
package final class CPUBackend: Backend {
    package struct Configuration: Sendable {
        package var threadCount: Int
        package var precision: ComputePrecision = .auto
        package var cacheType: KVCacheType = .auto
        /// Most tokens of one step.
        package var maxBatchedTokens: Int

        package init(threadCount: Int, maxBatchedTokens: Int) {
            self.threadCount = threadCount
            self.maxBatchedTokens = maxBatchedTokens
        }
    }

    package let configuration: Configuration
    let pool: ThreadPool
    var ropes: [RopeFrequencies] = []
    var plan: CPUStepPlan
    var cache: CPUCache?
    let scratch: CPUScratch
    var experts = CPUExpertPlan()
    var products = CPUProductBatch()
    var reorders = CPUReorderBatch()
    var adapters = CPUAdapters()
    private var tensors: [HostMemory] = []

    package init(_ configuration: Configuration) {
        nt_kernels_init()
        self.configuration = configuration
        pool = ThreadPool(threadCount: configuration.threadCount)
        plan = CPUStepPlan()
        scratch = CPUScratch(workers: pool.threadCount)
    }

    /// Reasons why matrices take a slow path, and how many do.
    private var slowMatrices: [(reason: String, count: Int)] = []

    package var fallbacks: [String] { slowMatrices.map { "\($0.count) \($0.count == 1 ? "matrix" : "matrices"): \($0.reason)" } }

    func noteFallback(_ reason: String) {
        if let place = slowMatrices.firstIndex(where: { $0.reason == reason }) { slowMatrices[place].count += 1 } else { slowMatrices.append((reason, 1)) }
    }

    package var summary: String {
        "cpu (\(String(cString: nt_isa_name(nt_cpu_isa()))), \(pool.threadCount) thread\(pool.threadCount == 1 ? "" : "s"))"
    }

    package func makeTensor(rows: Int, columns: Int) throws -> Tensor {
        let memory = try HostMemory(byteCount: rows * columns * 4, for: "activations")
        tensors.append(memory)
        return Tensor(address: memory.base, dtype: .f32, rows: rows, columns: columns)
    }

    package func registerRope(_ frequencies: RopeFrequencies) -> RopeHandle {
        if let index = ropes.firstIndex(of: frequencies) { return RopeHandle(index: index) }
        ropes.append(frequencies)
        return RopeHandle(index: ropes.count - 1)
    }

    package func parallelFor(_ count: Int, _ body: (Int) -> Void) {
        pool.parallelFor(count) { chunk, _ in body(chunk) }
    }
}
