import Tensors
import Weights

/// A reader under test. `feed` does with a file what loading a model would, and more; it must end in success or `LoadError`, never in a
/// trap or a read outside the file, which the locked page after the bytes turns into a crash.
package enum FuzzTarget: String, CaseIterable, Sendable {
    case safetensors, gguf, index, config

    package func seeds() throws -> [[UInt8]] {
        switch self {
        case .safetensors: try Seeds.safetensors()
        case .gguf: try Seeds.gguf()
        case .index: Seeds.index.map { Array($0.utf8) }
        case .config: Seeds.config.map { Array($0.utf8) }
        }
    }

    /// Whether the file was accepted.
    @discardableResult
    package func feed(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let file = try? MappedFile(contents: bytes, name: rawValue) else { return false }
        do {
            switch self {
            case .safetensors:
                for record in try SafetensorsFile(file: file).records { try Self.exercise(record) }
            case .gguf: try Self.exercise(try GGUFFile(file: file))
            case .index: _ = try SafetensorsIndex(file: file).files
            case .config: try Self.exercise(try ConfigReader(file: file))
            }
            return true
        } catch {
            // A message must be makeable from any error.
            return "\(error)".isEmpty
        }
    }

    private static func exercise(_ record: TensorRecord) throws {
        let view = try record.view()
        view.withUnsafeBytes { bytes in
            if let first = bytes.first, let last = bytes.last { sink(first &+ last) }
        }
        for dimension in 0..<view.shape.rank {
            for rank in 0..<2 {
                if let part = try? view.slice(dimension: dimension, rank: rank, of: 2) { sink(part.bytes.first ?? 0) }
            }
            if view.shape[dimension] > 0 { _ = try? view.slice(dimension: dimension, 0..<1) }
        }
        if let row = try? view[row: view.rowCount - 1] { sink(row.bytes.last ?? 0) }
        if view.byteCount > 0 { _ = try? view.floats() }
        if view.byteCount > 0 { _ = try? view.integers() }
    }

    private static func exercise(_ file: GGUFFile) throws {
        let metadata = file.metadata
        for key in metadata.keys {
            _ = metadata.json(key)
            _ = metadata.raw(key)
            if let strings = try? metadata.strings(key) {
                for string in strings { sink(string.utf8.first ?? 0) }
            }
            _ = try? metadata.floats(key)
            _ = try? metadata.int32s(key)
        }
        for record in file.records { _ = try? exercise(record) }
        if let model = try? metadata.model { try exercise(model) }
        _ = try? metadata.vocabulary()
    }

    private static func exercise(_ config: ConfigReader) throws {
        _ = try? GenerationConfig(config)
        _ = try? config.require("hidden_act", is: "silu")
        for key in [
            "num_hidden_layers", "hidden_size", "rms_norm_eps", "architectures", "rope_scaling", "eos_token_id", "block_count", "rope.freq_base",
        ] {
            _ = try? config.int(key)
            _ = try? config.ints(key)
            _ = try? config.float(key)
            _ = try? config.doubles(key)
            _ = try? config.string(key)
            _ = try? config.strings(key)
            _ = try? config.bool(key)
            _ = try? config.object(key).double("factor")
        }
    }

    /// Keeps reads from being removed as unused.
    @inline(never)
    private static func sink(_ byte: UInt8) {}
}

/// A run of the seeded mutator.
package struct FuzzRun: Sendable {
    package let target: FuzzTarget
    package private(set) var inputs = 0
    /// Inputs that the reader took as valid. None, or nearly all, would say that the mutations miss the mark.
    package private(set) var accepted = 0

    /// Feeds `count` inputs made from `seed`. Input i depends on the seed and i only, so that a crash is found again by its number.
    package init(_ target: FuzzTarget, seed: UInt64, count: Int, from start: Int = 0, report: (Int) -> Void = { _ in }) throws {
        self.target = target
        let seeds = try target.seeds()
        for number in start..<start + count {
            let bytes = Self.input(target, seeds, seed: seed, number: number)
            report(number)
            if bytes.withUnsafeBytes(target.feed) { accepted += 1 }
            inputs += 1
        }
    }

    private static func input(_ target: FuzzTarget, _ seeds: [[UInt8]], seed: UInt64, number: Int) -> [UInt8] {
        var random = SplitMix64(seed: seed &+ UInt64(truncatingIfNeeded: number) &* 0xD134_2543_DE82_EF95)
        let original = seeds[Int.random(in: 0..<seeds.count, using: &random)]
        let other = seeds[Int.random(in: 0..<seeds.count, using: &random)]
        var mutator = Mutator(seed: random.next(), dictionary: Seeds.dictionary)
        // Half of the safetensors inputs get an edited header under a length that fits it: others rarely get past the length.
        guard target == .safetensors, Bool.random(using: &random) else { return mutator.mutate(original, other: other) }
        let length = original.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        let header = mutator.mutate(Array(original[8..<8 + length]), other: Array(other.dropFirst(8)))
        var bytes: [UInt8] = []
        withUnsafeBytes(of: UInt64(header.count).littleEndian) { bytes.append(contentsOf: $0) }
        return bytes + header + original[(8 + length)...]
    }
}
