package import Sampling

/// Sampling that `/set` changes, over what the command line and the checkpoint gave.
package struct ChatSettings: Sendable {
    package enum Change: Sendable, Equatable {
        case temperature(Double?), topP(Double?), minP(Double?), repetitionPenalty(Double?)
        case topK(Int?), maxTokens(Int?)
        case seed(UInt64?)

        /// - Parameter text: `NAME VALUE`, `NAME=VALUE` too; the value `default` is nil.
        package init(_ text: String) throws(ChatError) {
            let words = text.split { $0 == "=" || $0.isWhitespace }
            guard words.count == 2 else { throw ChatError("use /set NAME VALUE, with a name of \(ChatSettings.names.joined(separator: ", "))") }
            let value = String(words[1])
            let isDefault = value == "default"
            func number(_ wanted: String, _ allows: (Double) -> Bool) throws(ChatError) -> Double? {
                if isDefault { return nil }
                guard let number = Double(value), number.isFinite, allows(number) else { throw ChatError("\(words[0]) must be \(wanted), not '\(value)'") }
                return number
            }
            func integer(_ wanted: String, from smallest: Int) throws(ChatError) -> Int? {
                if isDefault { return nil }
                guard let number = Int(value), number >= smallest else { throw ChatError("\(words[0]) must be \(wanted), not '\(value)'") }
                return number
            }
            switch words[0] {
            case "temperature": self = .temperature(try number("0 to 2", (0...2).contains))
            case "top_p": self = .topP(try number("above 0 and at most 1") { $0 > 0 && $0 <= 1 })
            case "min_p": self = .minP(try number("0 to 1", (0...1).contains))
            case "repetition_penalty": self = .repetitionPenalty(try number("above 0") { $0 > 0 })
            case "top_k": self = .topK(try integer("a whole number, 0 for all", from: 0))
            case "max_tokens": self = .maxTokens(try integer("a whole number above 0", from: 1))
            case "seed":
                guard isDefault || UInt64(value) != nil else { throw ChatError("seed must be a whole number, not '\(value)'") }
                self = .seed(UInt64(value))
            default: throw ChatError("there is no setting '\(words[0])'; use one of \(ChatSettings.names.joined(separator: ", "))")
            }
        }
    }

    package static let names = ["temperature", "top_p", "top_k", "min_p", "max_tokens", "repetition_penalty", "seed"]

    package private(set) var sampling: SamplingParameters
    private let initial: SamplingParameters

    package init(_ sampling: SamplingParameters) {
        initial = sampling
        self.sampling = sampling
    }

    package mutating func apply(_ change: Change) {
        switch change {
        case .temperature(let value): sampling.temperature = value ?? initial.temperature
        case .topP(let value): sampling.topP = value ?? initial.topP
        case .minP(let value): sampling.minP = value ?? initial.minP
        case .repetitionPenalty(let value): sampling.repetitionPenalty = value ?? initial.repetitionPenalty
        case .topK(let value): sampling.topK = value ?? initial.topK
        case .maxTokens(let value): sampling.maxTokens = value ?? initial.maxTokens
        case .seed(let value): sampling.seed = value ?? initial.seed
        }
    }

    /// `temperature 0.7, top_p 0.95, …`.
    package var summary: String {
        let values = [
            "\(sampling.temperature)", "\(sampling.topP)", "\(sampling.topK)", "\(sampling.minP)",
            sampling.maxTokens.map(String.init) ?? "none", "\(sampling.repetitionPenalty)", sampling.seed.map(String.init) ?? "random",
        ]
        return zip(Self.names, values).map { "\($0) \($1)" }.joined(separator: ", ")
    }
}
