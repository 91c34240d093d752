/// Collects decoded bytes and gives out only what is settled: no half characters, and no U+FFFD that later bytes could still turn
/// into a character.
struct TextSink: Sendable {
    /// Settled text that was not taken yet.
    private(set) var ready: [UInt8] = []
    /// Characters U+FFFD at the end, shown only once something else follows.
    private var heldReplacements = 0
    /// Start of a character.
    private var tail: [UInt8] = []
    private static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]

    private mutating func release() {
        if heldReplacements == 0 { return }
        for _ in 0..<heldReplacements { ready.append(contentsOf: Self.replacement) }
        heldReplacements = 0
    }

    /// Bytes of a byte-level vocabulary, in any portions.
    mutating func append(bytes: UnsafeBufferPointer<UInt8>) {
        if !tail.isEmpty {
            tail.append(contentsOf: bytes)
            let joined = tail
            tail.removeAll(keepingCapacity: true)
            joined.withUnsafeBufferPointer { take($0) }
        } else {
            take(bytes)
        }
    }

    private mutating func take(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let base = bytes.baseAddress else { return }
        var index = 0
        while index < bytes.count {
            // A run of whole characters goes out at once.
            let start = index
            var broken = (size: 1, unfinished: false, broken: 0)
            while index < bytes.count {
                if base[index] < 0x80 {
                    index &+= 1
                    continue
                }
                broken = UTF8Text.inspect(base + index, bytes.count &- index)
                if broken.size == 0 || Self.isReplacement(base + index, broken.size) { break }
                index &+= broken.size
            }
            if index > start {
                release()
                ready.append(contentsOf: UnsafeBufferPointer(start: base + start, count: index - start))
            }
            if index == bytes.count { return }
            if broken.unfinished {
                tail.append(contentsOf: UnsafeBufferPointer(start: base + index, count: bytes.count - index))
                return
            }
            heldReplacements += 1
            index &+= broken.size == 0 ? broken.broken : broken.size
        }
    }

    @inline(__always) private static func isReplacement(_ bytes: UnsafePointer<UInt8>, _ size: Int) -> Bool {
        size == 3 && bytes[0] == 0xEF && bytes[1] == 0xBF && bytes[2] == 0xBD
    }

    /// The settled text since the last call.
    mutating func takeReady() -> [UInt8] {
        defer { ready.removeAll(keepingCapacity: true) }
        return ready
    }

    /// The end of the text: what was held back comes out.
    mutating func finish() {
        release()
        if !tail.isEmpty {
            ready.append(contentsOf: Self.replacement)
            tail.removeAll()
        }
    }
}
