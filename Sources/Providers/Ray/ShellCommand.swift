/// A command line for `sh -c` that stands for exactly these words.
package enum ShellCommand {
    /// `exec` makes the shell become the program, so that signals and exit code are the program's own.
    package static func line(_ words: [String]) throws(ProviderError) -> String {
        guard let program = words.first, !program.isEmpty else { throw ProviderError("the worker's command is empty") }
        guard words.allSatisfy({ !$0.utf8.contains(0) }) else { throw ProviderError("the worker's command holds a zero byte") }
        return "exec " + words.map(quote).joined(separator: " ")
    }

    /// Single quotes keep everything but themselves.
    package static func quote(_ word: String) -> String {
        let isPlain = !word.isEmpty && word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: ","), UInt8(ascii: ":"):
                true
            default: false
            }
        }
        return isPlain ? word : "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }
}
