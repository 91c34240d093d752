/// The variables that have an effect, for `needletail worker --help`.
extension EngineVariables {
    static var help: String {
        var lines: [String] = []
        for variable in byName.values.sorted(by: { $0.name < $1.name }) {
            let shown = WorkerVariables.prefixedOnly.contains(variable.name) ? "NEEDLETAIL_" + variable.name : variable.name
            switch variable.meaning {
            case .option(let option, let value): lines.append("  \(shown): \(value.summary) (serve --\(option))")
            case .setting(let value): lines.append("  \(shown): \(purposes[variable.name].map { $0 + ", " } ?? "")\(value.summary)")
            case .inapplicable, .unsupported: continue
            }
        }
        return lines.joined(separator: "\n")
    }

    /// What no other program knows.
    private static let purposes = [
        "NATIVE_OUTPUT": "shape of native answers", "GATEWAY_LOST_TIMEOUT": "seconds without a gateway, or refused by it, after which an idle worker ends",
        "STOP_GRACE": "seconds that running jobs get when the worker is told to end; the rest goes back to the gateway",
        "STEP_TIMEOUT": "seconds of one engine step after which the engine counts as stuck", "PREFETCH": "weights are read ahead, as with --prefetch",
        "MAX_CONCURRENCY": "jobs at once", "MODEL_NAME": "of the hub, or a path",
    ]
}

extension VariableValue {
    /// What it takes, in a few words.
    var summary: String {
        switch self {
        case .text: "text"
        case .bool: "true or false"
        case .int(let range, _) where range.upperBound == .max: "a whole number"
        case .int(let range, _): "\(range.lowerBound) to \(range.upperBound)"
        case .number(let range): "\(Int(range.lowerBound)) to \(Int(range.upperBound))"
        case .tokens: "tokens, such as 4096 or 8k"
        case .bytes: "bytes, such as 2GiB"
        case .oneOf(let spellings): spellings.keys.sorted().joined(separator: ", ")
        case .json: "JSON"
        }
    }
}
