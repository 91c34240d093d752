internal import HTTPTypes

extension HTTPField.Name {
    /// How Anthropic's clients send their key.
    static let xAPIKey = Self("X-Api-Key")!
    static let vllmPriority = Self("X-Vllm-Priority")!
}
