import AllocationCounter
import Compute
import Models
import Step
import Testing

extension IntegrationTests {
    /// The model's part of a warm decode step, without what `ThreadPool` takes for a loop on several threads.
    @Suite struct AllocationTests {
        /// Four sequences that have come to `position`, each in blocks of its own.
        private func fill(_ batch: inout StepBatch, position: Int, blockSize: Int) {
            batch.removeAll()
            let width = 8
            for group in batch.groups.indices { batch.groups[group].maxBlocks = width }
            for sequence in 0..<4 {
                batch.tokenIDs.append(Int32(sequence + 1))
                batch.positions.append(Int32(position))
                batch.queryStarts.append(Int32(sequence + 1))
                batch.sequenceLengths.append(Int32(position + 1))
                batch.promptLengths.append(1)
                batch.logitRows.append(Int32(sequence))
                for group in batch.groups.indices {
                    let first = 1 + (sequence * batch.groups.count + group) * width
                    for block in 0..<width { batch.groups[group].blockTables.append(Int32(first + block)) }
                    batch.groups[group].slotMapping.append(Int32((first + position / blockSize) * blockSize + position % blockSize))
                }
            }
        }

        @Test(arguments: TinyModel.allCases)
        func warmStep(_ model: TinyModel) async throws {
            try await model.withCheckpoint { path in
                var options = ModelOptions(cacheByteCount: 16 << 20, maxBatchedTokens: 64)
                options.blockSize = 16
                let runner = try ModelSource(path: path).load(
                    on: CPUBackend(CPUBackend.Configuration(threadCount: 1, maxBatchedTokens: 64)), options: options)
                var batch = StepBatch(groupCount: runner.kvCache.groups.count)
                for position in 0..<20 {
                    fill(&batch, position: position, blockSize: 16)
                    _ = try runner.run(batch)
                }
                let before = allocation_count()
                for position in 20..<120 {
                    fill(&batch, position: position, blockSize: 16)
                    _ = try runner.run(batch)
                }
                let made = allocation_count() - before
                if before >= 0 { #expect(made == 0, "100 warm steps allocated \(made) times") }
            }
        }
    }
}
