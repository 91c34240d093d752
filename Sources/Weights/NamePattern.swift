/// A tensor name with `*` for any run of characters, the empty one and dots included.
package struct NamePattern: Sendable {
    private let pattern: [UInt8]

    package init(_ pattern: String) { self.pattern = Array(pattern.utf8) }

    package func matches(_ name: String) -> Bool {
        let name = Array(name.utf8)
        // Greedy match with one place to come back to: the last star.
        var p = 0, n = 0, star: Int?, resume = 0
        while n < name.count {
            if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
                star = p
                resume = n
                p += 1
            } else if p < pattern.count, pattern[p] == name[n] {
                p += 1
                n += 1
            } else if let star {
                resume += 1
                n = resume
                p = star + 1
            } else {
                return false
            }
        }
        while p < pattern.count, pattern[p] == UInt8(ascii: "*") { p += 1 }
        return p == pattern.count
    }
}
