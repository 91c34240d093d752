/// Bounds in milliseconds that a good request keeps: `ttft:200 tpot:50 e2el:5000`.
package struct Goodput: Sendable, Equatable {
    package private(set) var bounds: [(name: String, milliseconds: Double)] = []

    /// - Throws: `BenchError` naming the argument that cannot be read.
    package init(_ arguments: [String]) throws(BenchError) {
        for argument in arguments {
            let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, ["ttft", "tpot", "e2el"].contains(parts[0]), let bound = Double(parts[1]), bound >= 0 else {
                throw BenchError("--goodput takes ttft:MS, tpot:MS and e2el:MS, not '\(argument)'")
            }
            bounds.append((String(parts[0]), bound))
        }
    }

    package var isEmpty: Bool { bounds.isEmpty }

    /// TPOT counts 0 for answers of one token.
    package func isMet(by record: RequestRecord) -> Bool {
        bounds.allSatisfy { name, bound in
            let seconds = switch name {
            case "ttft": record.timeToFirstToken
            case "tpot": record.timePerToken ?? 0
            default: record.latency
            }
            return seconds * 1000 <= bound
        }
    }

    package static func == (a: Goodput, b: Goodput) -> Bool {
        a.bounds.elementsEqual(b.bounds) { $0.name == $1.name && $0.milliseconds == $1.milliseconds }
    }
}
