package import Models
import Step
package import Compute

/// What the KV cache takes: bytes of a block by the backend's own layout, and blocks of a text by the model's groups of layers.
package struct CacheFootprint: Sendable, Equatable {
    package var bytesPerBlock: Int
    package var blockSize: Int
    /// Window of each group of layers, in tokens; nil sees everything.
    package var windows: [Int?]

    package init(bytesPerBlock: Int, blockSize: Int, windows: [Int?]) {
        self.bytesPerBlock = max(1, bytesPerBlock)
        self.blockSize = blockSize
        // A model without a cache of keys and values still has one table.
        self.windows = windows.isEmpty ? [nil] : windows
    }

    package init(_ source: ModelSource, on backend: any Backend, blockSize: Int) throws {
        self.init(
            bytesPerBlock: try source.bytesPerBlock(backend, blockSize: blockSize), blockSize: blockSize,
            windows: source.cachePlan.groups.map(\.slidingWindow))
    }

    /// Bytes that one more token takes while the text is within all windows.
    package var bytesPerToken: Int { max(1, bytesPerBlock * windows.count / blockSize) }

    /// Blocks of one text, at most: a window's layers keep the blocks that the window touches, and those of the step at hand.
    /// - Parameter chunk: most tokens of the text in one step.
    package func blocks(length: Int, chunk: Int = 1) -> Int {
        windows.reduce(0) { sum, window in
            let all = (length + blockSize - 1) / blockSize
            return sum + min(all, window.map { ($0 - 1 + min(chunk, length) + blockSize - 2) / blockSize + 1 } ?? all)
        }
    }

    /// Bytes of one text; saturating.
    package func byteCount(length: Int) -> Int { product(blocks(length: length), bytesPerBlock) }

    /// Bytes of `sequences` texts and of block 0, which is never used.
    package func byteCount(length: Int, sequences: Int, chunk: Int = 1) -> Int {
        product(product(blocks(length: length, chunk: chunk), sequences) &+ 1, bytesPerBlock)
    }

    private func product(_ a: Int, _ b: Int) -> Int {
        let (value, overflow) = a.multipliedReportingOverflow(by: b)
        return overflow || value < 0 ? Int.max / 2 : value
    }

    /// Tokens of the longest single text that `budget` bytes hold, at most `limit`; 0 where not one block fits.
    package func longestText(in budget: Int, limit: Int) -> Int {
        let most = budget / bytesPerBlock - 1
        guard most >= windows.count else { return 0 }
        var low = 0, high = limit
        while low < high {
            let middle = low + (high - low + 1) / 2
            if blocks(length: middle) <= most { low = middle } else { high = middle - 1 }
        }
        return low
    }

    /// Full texts of `length` tokens that `budget` bytes hold at once.
    package func texts(of length: Int, in budget: Int) -> Int { max(0, budget / bytesPerBlock - 1) / max(1, blocks(length: length)) }
}
