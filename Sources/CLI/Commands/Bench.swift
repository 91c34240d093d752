import ArgumentParser

/// `needletail bench`.
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure throughput and latency, of a model in this process or of any OpenAI-compatible server.",
        subcommands: [BenchThroughput.self, BenchLatency.self, BenchServe.self])
}
