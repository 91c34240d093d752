internal import HTTPTypes

/// Paths and methods, in one table.
enum Route: String, CaseIterable {
    case completions = "/v1/completions"
    case chat = "/v1/chat/completions"
    /// Anthropic's chat.
    case messages = "/v1/messages"
    case embeddings = "/v1/embeddings"
    case classify = "/classify"
    case pooling = "/pooling"
    case score = "/score"
    case scoreV1 = "/v1/score"
    case rerank = "/rerank"
    case rerankV1 = "/v1/rerank"
    case rerankV2 = "/v2/rerank"
    case models = "/v1/models"
    /// With a name behind it, slashes and all.
    case model = "/v1/models/"
    case loadAdapter = "/v1/load_lora_adapter"
    case unloadAdapter = "/v1/unload_lora_adapter"
    case tokenize = "/tokenize"
    case detokenize = "/detokenize"
    case health = "/health"
    case ping = "/ping"
    case version = "/version"
    case load = "/load"
    case metrics = "/metrics"

    var methods: [HTTPRequest.Method] {
        switch self {
        case .completions, .chat, .messages, .tokenize, .detokenize, .loadAdapter, .unloadAdapter: [.post]
        case .embeddings, .classify, .pooling, .score, .scoreV1, .rerank, .rerankV1, .rerankV2: [.post]
        case .ping: [.get, .post]
        default: [.get]
        }
    }

    /// Probes are not counted: they would drown the rest.
    var isOperational: Bool {
        switch self {
        case .health, .ping, .version, .load, .metrics: true
        default: false
        }
    }

    private static let byPath = Dictionary(uniqueKeysWithValues: allCases.map { ($0.rawValue, $0) })

    /// - Parameter path: without the query.
    static func find(_ path: String) -> Route? {
        if path.hasPrefix(model.rawValue), path.utf8.count > model.rawValue.utf8.count { return .model }
        guard let route = byPath[path], route != .model else { return nil }
        return route
    }

    /// Whether an API key is needed, for paths that lead nowhere too.
    static func isProtected(_ path: String) -> Bool { ["/v1", "/v2"].contains { path == $0 || path.hasPrefix($0 + "/") } }
}
