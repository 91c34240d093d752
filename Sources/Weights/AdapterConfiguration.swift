import JSON

/// `adapter_config.json` of a PEFT adapter: how strong its parts are. What is computed otherwise than `y += scale * B (A x)` is refused.
package struct AdapterConfiguration: Sendable {
    package let file: String
    package let rank: Int
    package let alpha: Double
    /// Scales by `alpha / sqrt(rank)` instead of `alpha / rank` (rsLoRA, arXiv 2312.03732).
    package let isRankStabilised: Bool
    /// Ranks and alphas of single modules, by patterns of their names.
    private let rankPatterns: [(pattern: AdapterPattern, value: Double)]
    private let alphaPatterns: [(pattern: AdapterPattern, value: Double)]
    /// Bounds what a file can ask for; larger ranks are full fine-tunes.
    static let maxRank = 1 << 16

    package init(_ config: ConfigReader) throws(LoadError) {
        file = config.file
        try Self.refuseOthers(config)
        rank = try config.int("r", in: 1...Self.maxRank, default: 8)
        alpha = try config.double("lora_alpha", default: 8)
        isRankStabilised = try config.bool("use_rslora", default: false)
        rankPatterns = try Self.patterns(config, "rank_pattern")
        for (pattern, value) in rankPatterns where !(1...Double(Self.maxRank) ~= value) || value != value.rounded() {
            throw config.error("rank_pattern", "gives '\(pattern.text)' the rank \(value), which is no whole number from 1 to \(Self.maxRank)")
        }
        alphaPatterns = try Self.patterns(config, "alpha_pattern")
    }

    /// Rank that a module's tensors must have.
    package func rank(of module: String) -> Int {
        Int(rankPatterns.first { $0.pattern.matches(module) }?.value ?? Double(rank))
    }

    /// Factor on a module's `B A x`.
    package func scale(of module: String) -> Float {
        let alpha = alphaPatterns.first { $0.pattern.matches(module) }?.value ?? alpha
        let rank = Double(rank(of: module))
        return Float(alpha / (isRankStabilised ? rank.squareRoot() : rank))
    }

    private static func patterns(_ config: ConfigReader, _ key: String) throws(LoadError) -> [(pattern: AdapterPattern, value: Double)] {
        guard let members = try config.object(optional: key)?.json?.members else { return [] }
        var patterns: [(pattern: AdapterPattern, value: Double)] = []
        for member in members {
            guard let value = member.value.double, value.isFinite else {
                throw config.error("\(key).\(member.key)", "must be a number, but is \(member.value.kind)")
            }
            guard let pattern = AdapterPattern(member.key) else { throw config.error(key, "holds '\(member.key)', which is no regular expression") }
            patterns.append((pattern, value))
        }
        return patterns
    }

    // MARK: What is refused

    private static func refuseOthers(_ config: ConfigReader) throws(LoadError) {
        try config.require("peft_type", is: "LORA")
        for (key, what) in flags where try isSet(config, key) {
            throw config.error(key, "is set: \(what) is not supported; only plain LoRA is")
        }
        for key in ["modules_to_save", "target_parameters", "trainable_token_indices", "layer_replication"] {
            guard let value = config.value(key), !isEmpty(value) else { continue }
            throw config.error(key, "is \(value.text.prefix(80)): only low-rank parts of linear layers are supported; merge the adapter into its base model to use it")
        }
        if let bias = try config.string(optional: "bias"), bias != "none" {
            throw config.error("bias", "is '\(bias)': trained biases are not supported; merge the adapter into its base model to use it")
        }
        try refuseChangedBase(config)
    }

    private static let flags = [
        ("use_dora", "DoRA"), ("lora_bias", "a bias beside the low-rank part"), ("use_qalora", "QA-LoRA"), ("use_bdlora", "BD-LoRA"),
        ("alora_invocation_tokens", "activated LoRA"), ("arrow_config", "Arrow routing"), ("monteclora_config", "MonteCLoRA"),
    ]

    private static func isSet(_ config: ConfigReader, _ key: String) throws(LoadError) -> Bool {
        guard let value = config.value(key) else { return false }
        return value.bool ?? !isEmpty(value)
    }

    private static func isEmpty(_ value: JSONValue) -> Bool {
        value.array?.isEmpty ?? value.object?.isEmpty ?? false
    }

    /// Initialisations that also change the base model's weights, so that the adapter fits no other.
    private static func refuseChangedBase(_ config: ConfigReader) throws(LoadError) {
        guard let kind = config.value("init_lora_weights")?.string else { return }
        let lower = kind.lowercased()
        guard lower.utf8.starts(with: "pissa".utf8) || ["olora", "loftq", "corda", "lora_ga"].contains(lower) else { return }
        throw config.error(
            "init_lora_weights", "is '\(kind)', which changes the base model's weights; convert the adapter to plain LoRA when saving it (path_initial_model_for_weight_conversion)")
    }
}

/// A key of PEFT's patterns: a regular expression for the end of a module's name, from a dot on or all of it.
struct AdapterPattern: Sendable {
    let text: String
    private let regex: NameRegex

    /// nil where the text is no regular expression.
    init?(_ text: String) {
        guard let regex = try? NameRegex("(?:.*\\.)?(?:\(text))\\z") else { return nil }
        self.text = text
        self.regex = regex
    }

    func matches(_ module: String) -> Bool { regex.matches(module) }
}
