import Progress

/// Sends prompts on their schedule, never more at once than allowed.
struct LoadRun {
    var client: LoadClient
    var limit: Int
    var progress: any ProgressReporter

    /// - Parameter times: seconds after the start, one per prompt. A prompt that finds no free place waits for one, and what is late
    ///   leaves at once.
    /// - Returns: records in the order of the prompts.
    func run(_ prompts: [BenchPrompt], at times: [Double]) async throws -> [RequestRecord] {
        let item = progress.begin("requests", total: prompts.count, unit: .items("requests"))
        let client = client, progress = progress
        let start = client.clock.now
        var records = [RequestRecord?](repeating: nil, count: prompts.count)
        try await withThrowingTaskGroup(of: (Int, RequestRecord).self) { group in
            var running = 0
            for (index, prompt) in prompts.enumerated() {
                if times[index] > 0 { try await client.clock.sleep(until: start + .seconds(times[index]), tolerance: .microseconds(100)) }
                if running >= limit, let (done, record) = try await group.next() {
                    records[done] = record
                    running -= 1
                }
                running += 1
                group.addTask {
                    let record = await client.run(prompt)
                    progress.advance(item, by: 1)
                    return (index, record)
                }
            }
            for try await (done, record) in group { records[done] = record }
        }
        progress.finish(item, .done)
        return records.compactMap { $0 }
    }
}
