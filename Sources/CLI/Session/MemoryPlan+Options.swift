import Compute
import Models
import Planning
import Weights

extension MemoryPlan {
    /// The plan for a model under a command's options; throws `PlanError` with advice where it does not fit.
    init(_ source: ModelSource, on backend: any Backend, _ options: EngineOptions) throws {
        let weights = try WeightFootprint(source)
        try self.init(
            weightBytes: weights.byteCount,
            workBytes: WorkSpace.byteCount(source.description, tokens: options.maxNumBatchedTokens, sequences: options.maxNumSeqs),
            cache: try CacheFootprint(source, on: backend, blockSize: options.blockSize), limit: source.description.maxPositions,
            sequences: options.maxNumSeqs, chunk: options.maxNumBatchedTokens, budget: options.kvCacheMemory?.count,
            wantedLength: options.maxModelLen?.count, available: MachineMemory.available,
            canShrink: weights.types.first.map { ["bf16", "f16", "f32"].contains($0.name) } ?? false)
    }
}
