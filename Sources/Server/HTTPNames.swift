internal import HTTPTypes

extension HTTPField.Name {
    static let vllmPriority = Self("X-Vllm-Priority")!
}
