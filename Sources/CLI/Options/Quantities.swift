import ArgumentParser
import Planning

/// A number of bytes as people write it: `2GiB`, `500MB`, `1.5g`, `1073741824`. Binary with an `i` or a bare letter, decimal with `B` alone.
package struct ByteSize: ExpressibleByArgument, Sendable, Equatable {
    package var count: Int

    package init?(argument: String) {
        let text = argument.lowercased()
        let digits = text.prefix { $0.isNumber || $0 == "." }
        guard let number = Double(digits), number >= 0 else { return nil }
        let factor: Double
        switch text.dropFirst(digits.count) {
        case "", "b": factor = 1
        case "k", "ki", "kib": factor = 1024
        case "m", "mi", "mib": factor = 1_048_576
        case "g", "gi", "gib": factor = 1_073_741_824
        case "t", "ti", "tib": factor = 1_099_511_627_776
        case "kb": factor = 1e3
        case "mb": factor = 1e6
        case "gb": factor = 1e9
        case "tb": factor = 1e12
        default: return nil
        }
        guard number * factor < 9e18 else { return nil }
        count = Int(number * factor)
    }

    /// "1.5 GiB".
    package static func text(_ count: Int) -> String {
        QuantityText.bytes(count)
    }
}

/// A number of tokens: `4096`, `8k` (8,000), `8K` (8,192), as vLLM reads it.
package struct TokenCount: ExpressibleByArgument, Sendable, Equatable {
    package var count: Int

    package init?(argument: String) {
        let factor: Int
        switch argument.last {
        case "k": factor = 1000
        case "K": factor = 1024
        case "m": factor = 1_000_000
        case "M": factor = 1 << 20
        default: factor = 1
        }
        let digits = factor == 1 ? Substring(argument) : argument.dropLast()
        guard let number = Double(digits), number > 0, number * Double(factor) <= Double(1 << 30) else { return nil }
        count = Int(number * Double(factor))
    }
}

extension ByteSize {
    init(count: Int) { self.count = count }

    /// In `--help`.
    package var defaultValueDescription: String { Self.text(count) }
}
