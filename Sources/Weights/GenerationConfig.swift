
/// Sampling defaults of a model (`generation_config.json`). nil: the file does not say.
package struct GenerationConfig: Sendable, Equatable {
    package var doSample: Bool?
    package var temperature, topP, minP, repetitionPenalty: Double?
    package var topK, maxNewTokens, maxLength: Int?
    package var bosToken, padToken: Int?
    /// All of them stop.
    package var eosTokens: [Int] = []

    package init() {}

    package init(_ config: ConfigReader) throws(LoadError) {
        doSample = try config.bool(optional: "do_sample")
        temperature = try config.double(optional: "temperature")
        topP = try config.double(optional: "top_p")
        minP = try config.double(optional: "min_p")
        repetitionPenalty = try config.double(optional: "repetition_penalty")
        // -1 is how some files say "off".
        topK = try config.int(optional: "top_k", in: -1...0x7FFF_FFFF)
        maxNewTokens = try config.int(optional: "max_new_tokens")
        maxLength = try config.int(optional: "max_length")
        bosToken = try config.int(optional: "bos_token_id", in: -1...0x7FFF_FFFF).flatMap { $0 < 0 ? nil : $0 }
        padToken = try config.int(optional: "pad_token_id", in: -1...0x7FFF_FFFF).flatMap { $0 < 0 ? nil : $0 }
        eosTokens = try config.ints(optional: "eos_token_id")?.filter { $0 >= 0 } ?? []
    }
}
