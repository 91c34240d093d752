/// Watches a choice's text for stop strings as it grows, byte by byte, so that the outcome does not depend on where tokens end.
///
/// The match that ends first wins; of those that end together the longest. Text that may yet turn out to be the start of a stop string is
/// held back, unless the matched string is to be kept anyway.
package struct StopMatcher: Sendable {
    private let stops: [[UInt8]]
    private let names: [String]
    private let keepsMatch: Bool
    /// The end of the text so far: the longest suffix that begins some stop string.
    private var tail: [UInt8] = []
    /// Bytes of `tail` already given out (only when `keepsMatch`).
    private var released = 0

    /// - Parameter stops: none of them empty.
    package init(stops: [String], includeInOutput: Bool) {
        names = stops.filter { !$0.isEmpty }
        self.stops = names.map { Array($0.utf8) }
        keepsMatch = includeInOutput
    }

    package var isEmpty: Bool { stops.isEmpty }
    /// Bytes held back at the moment.
    package var heldBack: Int { tail.count - released }

    /// Takes more text, appends to `output` what can be given out.
    /// - Parameter armed: false while min_tokens is not reached: matches that end in this text do not count.
    /// - Returns: the matched stop string; nothing may be fed after it.
    package mutating func feed(_ text: [UInt8], armed: Bool = true, into output: inout [UInt8]) -> String? {
        guard !stops.isEmpty else {
            output.append(contentsOf: text)
            return nil
        }
        let old = tail.count
        tail.append(contentsOf: text)
        if armed, let match = firstMatch(endingAfter: old) {
            let end = keepsMatch ? match.end : match.start
            if end > released { output.append(contentsOf: tail[released..<end]) }
            tail.removeAll()
            released = 0
            return names[match.stop]
        }
        let held = longestOpenSuffix()
        let free = tail.count - held
        let giveOut = keepsMatch ? tail.count : free
        if giveOut > released { output.append(contentsOf: tail[released..<giveOut]) }
        released = max(giveOut, released) - free
        tail.removeFirst(free)
        return nil
    }

    /// The text ends here without a match: gives out what was held back.
    package mutating func finish(into output: inout [UInt8]) {
        output.append(contentsOf: tail[released...])
        tail.removeAll()
        released = 0
    }

    private func firstMatch(endingAfter old: Int) -> (stop: Int, start: Int, end: Int)? {
        var end = old + 1
        while end <= tail.count {
            var best: (stop: Int, start: Int, end: Int)?
            for (index, stop) in stops.enumerated() where stop.count <= end && ends(with: stop, at: end) {
                if end - stop.count < best?.start ?? Int.max { best = (index, end - stop.count, end) }
            }
            if let best { return best }
            end += 1
        }
        return nil
    }

    private func ends(with stop: [UInt8], at end: Int) -> Bool {
        var at = end, left = stop.count
        while left > 0 {
            at -= 1
            left -= 1
            if tail[at] != stop[left] { return false }
        }
        return true
    }

    /// Length of the longest suffix of `tail` that is a proper prefix of a stop string.
    private func longestOpenSuffix() -> Int {
        var longest = 0
        for stop in stops {
            var count = min(stop.count - 1, tail.count)
            while count > longest {
                if tail.suffix(count).elementsEqual(stop.prefix(count)) {
                    longest = count
                    break
                }
                count -= 1
            }
        }
        return longest
    }
}
