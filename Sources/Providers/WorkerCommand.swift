internal import Glibc
package import Jobs

extension ProviderDefinition {
    /// Program and arguments of a worker: those of the definition, or this binary's `worker`.
    package func workerCommand() throws(ProviderError) -> [String] {
        if !command.isEmpty { return command }
        guard var path = ThisProgram.path() else { throw ProviderError("the path of this program cannot be read from /proc/self/exe; give a 'command'") }
        // Replaced by an update while we run: its successor stands where it stood.
        if path.hasSuffix(" (deleted)") { path.removeLast(" (deleted)".count) }
        guard access(path, X_OK) == 0 else { throw ProviderError("this program is no longer at \(path); give a 'command'") }
        return [path, "worker"]
    }

    /// The definition's variables with each `${NAME}` replaced by that variable of ours.
    /// - Parameter lookup: the gateway's environment.
    package func expandedEnvironment(
        _ lookup: (String) -> String? = { name in getenv(name).map { String(cString: $0) } }
    ) throws(ProviderError) -> [(name: String, value: String)] {
        var pairs: [(name: String, value: String)] = []
        for (name, value) in environment {
            guard name.isVariableName else { throw ProviderError("'\(name.shortened(60))' in 'env' is no name for a variable (letters, digits and '_')") }
            guard !value.utf8.contains(0) else { throw ProviderError("the value of '\(name)' in 'env' holds a zero byte") }
            pairs.append((name, try Self.expand(value, of: name, lookup)))
        }
        return pairs
    }

    private static func expand(_ value: String, of name: String, _ lookup: (String) -> String?) throws(ProviderError) -> String {
        var result = "", rest = Substring(value)
        while let start = rest.firstRange(of: "${") {
            result += rest[..<start.lowerBound]
            guard let end = rest[start.upperBound...].firstIndex(of: "}"), String(rest[start.upperBound..<end]).isVariableName else {
                throw ProviderError("the value of '\(name)' in 'env' has '${' without a name and '}' after it")
            }
            let wanted = String(rest[start.upperBound..<end])
            guard let found = lookup(wanted) else {
                throw ProviderError("'\(name)' in 'env' wants ${\(wanted)}, which is not set in the gateway's environment")
            }
            result += found
            rest = rest[rest.index(after: end)...]
        }
        return result + rest
    }
}

enum ThisProgram {
    static func path() -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0, count < buffer.count else { return nil }
        return String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

extension String {
    /// `[A-Za-z_][A-Za-z0-9_]*`.
    var isVariableName: Bool {
        guard let first = utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return false }
        return utf8.count <= 256
            && utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    func shortened(_ count: Int) -> String { self.count > count ? prefix(count) + "…" : self }
}
