import Compute
import Glibc
import Step

/// SplitMix64.
struct Random {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
    /// -1 ..< 1
    mutating func unit() -> Float { Float(Int64(bitPattern: next()) >> 40) / 8_388_608 }
    mutating func floats(_ count: Int, scale: Float = 1) -> [Float] { (0..<count).map { _ in unit() * scale } }
}

/// Runs an attention verb over whole texts on a backend with a cache of its own, cut into steps and put together as a test wishes.
final class AttentionHarness {
    let backend: CPUBackend
    let blockSize: Int
    private let blocksPerText: Int
    private let maxTexts: Int
    private let input: Tensor
    private let output: Tensor

    /// - Parameters:
    ///   - columns: of a row that goes into the verb, and of one that comes out.
    ///   - tokens: of the longest text.
    init(
        _ layout: KVCacheLayout, columns: (input: Int, output: Int), tokens: Int, texts: Int = 3, threads: Int = 2, cacheType: KVCacheType = .float32
    ) throws {
        var configuration = CPUBackend.Configuration(threadCount: threads, maxBatchedTokens: tokens * texts)
        configuration.cacheType = cacheType
        backend = CPUBackend(configuration)
        blockSize = layout.blockSize
        blocksPerText = (tokens + layout.blockSize - 1) / layout.blockSize
        maxTexts = texts
        input = try backend.makeTensor(rows: tokens * texts, columns: columns.input)
        output = try backend.makeTensor(rows: tokens * texts, columns: columns.output)
        try backend.makeCache(layout, blockCount: 1 + blocksPerText * texts)
    }

    /// One step: tokens `ranges[s]` of each text that has a range.
    private func step(_ ranges: [Range<Int>?]) -> StepBatch {
        var batch = StepBatch(groupCount: 1)
        for (text, range) in ranges.enumerated() {
            guard let range else { continue }
            let table = (0..<blocksPerText).map { Int32(1 + $0 * maxTexts + (text + $0) % maxTexts) }
            for position in range {
                batch.tokenIDs.append(0)
                batch.positions.append(Int32(position))
                batch.groups[0].slotMapping.append(table[position / blockSize] * Int32(blockSize) + Int32(position % blockSize))
            }
            batch.groups[0].blockTables += table
            batch.groups[0].maxBlocks = blocksPerText
            batch.queryStarts.append(Int32(batch.tokenIDs.count))
            batch.sequenceLengths.append(Int32(range.upperBound))
            batch.promptLengths.append(Int32(range.upperBound))
        }
        return batch
    }

    /// - Parameters:
    ///   - texts: rows of each text, `[tokens, input columns]`.
    ///   - steps: token ranges by text for each step.
    /// - Returns: rows of each text, `[tokens, output columns]`.
    func run(_ texts: [[Float]], steps: [[Range<Int>?]], _ verb: (CPUBackend, Tensor, Tensor) -> Void) throws -> [[Float]] {
        var out = texts.map { [Float](repeating: .nan, count: $0.count / input.columns * output.columns) }
        for ranges in steps {
            let batch = step(ranges)
            try backend.beginStep(batch)
            var row = 0
            for (text, range) in ranges.enumerated() {
                for token in range ?? 0..<0 {
                    for column in 0..<input.columns { input.floats[row * input.columns + column] = texts[text][token * input.columns + column] }
                    row += 1
                }
            }
            verb(backend, input.first(row), output.first(row))
            row = 0
            for (text, range) in ranges.enumerated() {
                for token in range ?? 0..<0 {
                    for column in 0..<output.columns { out[text][token * output.columns + column] = output.floats[row * output.columns + column] }
                    row += 1
                }
            }
        }
        return out
    }

    /// The same texts, each in one step of its own; then cut and mixed in ways that must not change a bit.
    static func waysToRun(_ lengths: [Int]) -> [[[Range<Int>?]]] {
        let alone: [[Range<Int>?]] = lengths.indices.map { text in lengths.indices.map { $0 == text ? 0..<lengths[$0] : nil } }
        let together: [[Range<Int>?]] = [lengths.map { 0..<$0 }]
        var chunked: [[Range<Int>?]] = []
        for begin in stride(from: 0, to: lengths.max() ?? 0, by: 7) {
            chunked.append(lengths.map { begin < $0 ? begin..<min($0, begin + 7) : nil })
        }
        var decoded: [[Range<Int>?]] = [lengths.map { 0..<max(1, $0 - 5) }]
        for back in (0..<5).reversed() { decoded.append(lengths.map { $0 - back > 1 ? $0 - back - 1..<$0 - back : nil }) }
        return [alone, together, chunked, decoded]
    }
}

func sameBits(_ a: [Float], _ b: [Float]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { $0.bitPattern == $1.bitPattern }
}

/// Angles of a plain rotation with base 10,000.
func plainRope(_ rotary: Int, _ style: RopeFrequencies.Style) -> RopeFrequencies {
    RopeFrequencies(rotaryDimension: rotary, style: style, rule: .fixed((0..<rotary / 2).map { Float(pow(10_000, -2 * Double($0) / Double(rotary))) }))
}

/// Rotates the first dims of a head in place.
func rotate(_ head: inout [Double], at offset: Int, _ rope: RopeFrequencies, position: Int) {
    guard case .fixed(let frequencies) = rope.rule else { return }
    let half = rope.rotaryDimension / 2
    for pair in 0..<half {
        let (i, j) = rope.style == .half ? (offset + pair, offset + half + pair) : (offset + 2 * pair, offset + 2 * pair + 1)
        let angle = Double(Float(position) * frequencies[pair]), (a, b) = (head[i], head[j])
        head[i] = a * cos(angle) - b * sin(angle)
        head[j] = b * cos(angle) + a * sin(angle)
    }
}
