package import Compute
import Glibc
package import Models
package import Progress
import Step

/// How well a model foretells a text: `exp` of the mean negative log-probability of its tokens.
///
/// The text is cut into windows that start afresh; of each window the second half is scored, so that every scored token has at least half a
/// window before it (llama.cpp's convention; a text of one window or less is scored from its second token on).
package struct Perplexity: Sendable, Equatable {
    package private(set) var scoredTokens = 0
    /// Sum of negative log-probabilities, in nats.
    package private(set) var loss = 0.0
    /// Sum of their squares.
    private var squares = 0.0

    package var value: Double { scoredTokens > 0 ? exp(loss / Double(scoredTokens)) : .nan }

    /// Standard error of `value`.
    package var uncertainty: Double {
        guard scoredTokens > 1 else { return .nan }
        let count = Double(scoredTokens), mean = loss / count
        return value * max(0, (squares / count - mean * mean) / (count - 1)).squareRoot()
    }

    package init() {}

    package mutating func add(_ logProbability: Double) {
        scoredTokens += 1
        loss -= logProbability
        squares += logProbability * logProbability
    }

    package struct Options: Sendable {
        package var window = 512
        /// Tokens of a step: their rows of logits are in memory at once.
        package var chunk = 64
        /// Most windows of the text; the rest is not read.
        package var windows = Int.max
        package var threads: Int
        package var precision = ComputePrecision.auto
        package var cacheType: KVCacheType = .auto
        /// Put before each window where the model expects a first token.
        package var first: Int32?

        package init(threads: Int) { self.threads = threads }
    }

    /// Loads a model and scores a text.
    /// - Parameter tokens: the text, without a first token.
    package static func measure(_ source: ModelSource, tokens: [Int32], options: Options, progress: any ProgressReporter) throws -> Perplexity {
        let window = min(options.window, source.description.maxPositions)
        guard tokens.count >= 2, window >= 4 else { throw QuantiseError("the text has \(tokens.count) tokens; perplexity needs at least 2") }
        var configuration = CPUBackend.Configuration(threadCount: options.threads, maxBatchedTokens: options.chunk)
        configuration.precision = options.precision
        configuration.cacheType = options.cacheType
        let backend = CPUBackend(configuration)
        let blockSize = 32, groups = source.cachePlan.groups.count
        let blocks = 1 + groups * ((window + blockSize) / blockSize + 1)
        var loading = ModelOptions(
            cacheByteCount: try source.bytesPerBlock(backend, blockSize: blockSize) * blocks, maxBatchedTokens: options.chunk)
        loading.blockSize = blockSize
        let runner = try source.load(on: backend, options: loading)
        var scorer = WindowScorer(runner: runner, chunk: options.chunk)
        return try scorer.score(tokens, window: window, options: options, progress: progress)
    }
}

/// Runs windows of a text through a model, every token's logits wanted.
struct WindowScorer {
    let runner: DecoderRunner
    let chunk: Int
    private var batch: StepBatch

    init(runner: DecoderRunner, chunk: Int) {
        self.runner = runner
        self.chunk = chunk
        batch = StepBatch(groupCount: runner.kvCache.groups.count)
    }

    mutating func score(_ tokens: [Int32], window: Int, options: Perplexity.Options, progress: any ProgressReporter) throws -> Perplexity {
        let given = options.first == nil ? window : window - 1
        let whole = max(1, min(options.windows, tokens.count / given))
        let item = progress.begin("perplexity", total: whole, unit: .items("windows"))
        var result = Perplexity()
        do {
            for index in 0..<whole {
                var text = options.first.map { [$0] } ?? []
                text += tokens[index * given..<min(tokens.count, (index + 1) * given)]
                let first = text.count == window ? window / 2 : 1
                for logProbability in try logProbabilities(text).dropFirst(first - 1) { result.add(logProbability) }
                progress.move(item, to: index + 1)
            }
            progress.finish(item, .done)
        } catch {
            progress.finish(item, .failed("\(error)"))
            throw error
        }
        return result
    }

    /// Of each token but the first: its log-probability after those before it.
    mutating func logProbabilities(_ text: [Int32]) throws -> [Double] {
        var result: [Double] = []
        for begin in stride(from: 0, to: text.count, by: chunk) {
            let end = min(text.count, begin + chunk)
            fill(text, begin..<end)
            let logits = try runner.run(batch), columns = runner.vocabularySize
            // The last token of the text foretells nothing.
            let rows = end == text.count ? end - begin - 1 : end - begin
            guard rows > 0, let base = logits.baseAddress else { continue }
            let targets = Array(text[begin + 1..<begin + 1 + rows])
            for target in targets where !(0..<columns ~= Int(target)) { throw QuantiseError("token \(target) is outside the model's vocabulary of \(columns)") }
            let found = SharedDoubles(rows)
            let shared = SharedLogits(base: base)
            runner.parallelFor(rows) { row in
                found.values[row] = Self.logProbability(shared.base + row * columns, columns, of: Int(targets[row]))
            }
            result += (0..<rows).map { found.values[$0] }
        }
        return result
    }

    private mutating func fill(_ text: [Int32], _ range: Range<Int>) {
        let blockSize = runner.kvCache.blockSize, blocks = (text.count + blockSize - 1) / blockSize
        batch.removeAll()
        for position in range {
            batch.tokenIDs.append(text[position])
            batch.positions.append(Int32(position))
            batch.logitRows.append(Int32(position - range.lowerBound))
        }
        batch.queryStarts.append(Int32(range.count))
        batch.sequenceLengths.append(Int32(range.upperBound))
        batch.promptLengths.append(Int32(text.count))
        for group in batch.groups.indices {
            let first = 1 + group * blocks
            batch.groups[group].maxBlocks = blocks
            batch.groups[group].blockTables += (0..<blocks).map { Int32(first + $0) }
            for position in range { batch.groups[group].slotMapping.append(Int32((first + position / blockSize) * blockSize + position % blockSize)) }
        }
    }

    private static func logProbability(_ logits: UnsafePointer<Float>, _ count: Int, of token: Int) -> Double {
        var top = logits[0]
        for index in 1..<max(1, count) { top = max(top, logits[index]) }
        var sum = 0.0
        for index in 0..<count { sum += Double(expf(logits[index] - top)) }
        return Double(logits[token] - top) - log(sum)
    }
}

/// Places that threads fill, each its own.
///
/// `@unchecked Sendable`: rows are disjoint, and the owner reads them when all threads are done.
private final class SharedDoubles: @unchecked Sendable {
    let values: UnsafeMutablePointer<Double>

    init(_ count: Int) {
        values = .allocate(capacity: count)
        values.initialize(repeating: 0, count: count)
    }

    deinit { values.deallocate() }
}

/// `@unchecked Sendable`: read only, and the runner keeps it until its next step.
private struct SharedLogits: @unchecked Sendable {
    let base: UnsafePointer<Float>

    init(base: UnsafeMutablePointer<Float>) { self.base = UnsafePointer(base) }
}
