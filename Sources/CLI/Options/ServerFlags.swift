import ArgumentParser
import Server

/// What `serve` takes besides the engine's options.
struct ServerFlags: ParsableArguments {
    static let values = [
        "host", "port", "uds", "api-key", "served-model-name", "allowed-origins", "allowed-methods", "allowed-headers", "max-body-size",
        "shutdown-timeout", "stream-interval", "sse-keep-alive-interval", "log-level",
    ]
    static let flags = [
        "allow-credentials", "enable-prompt-tokens-details", "enable-request-id-headers", "trust-request-chat-template", "enable-log-requests",
        "queue-full-429", "quiet",
    ]

    @Option(help: "Address to listen on. The default is reachable from this machine only; 0.0.0.0 opens it to the network.")
    var host = "127.0.0.1"

    @Option(help: "Port to listen on; 0 takes a free one.")
    var port = 8000

    @Option(help: "Unix socket to listen on instead.")
    var uds: String?

    @Option(help: "Key that clients must send; repeat for several. Default: none is asked for.")
    var apiKey: [String] = []

    @Option(help: "Name of the model in the API; repeat for several.")
    var servedModelName: [String] = []

    @Option(help: "Origins that browsers may call from; repeat for several, * for all.")
    var allowedOrigins: [String] = []

    @Option(help: "Methods for CORS; repeat for several.")
    var allowedMethods: [String] = ["*"]

    @Option(help: "Headers for CORS; repeat for several.")
    var allowedHeaders: [String] = ["*"]

    @Flag(help: "Allow credentials in CORS.")
    var allowCredentials = false

    @Option(help: "Largest request body.")
    var maxBodySize = ByteSize(count: 64 << 20)

    @Option(help: "Seconds that running requests get to finish on SIGTERM.")
    var shutdownTimeout = 5

    @Option(help: "Tokens per streamed chunk.")
    var streamInterval = 1

    @Option(help: "Seconds of silence after which a stream gets a comment line. Default: none.")
    var sseKeepAliveInterval: Int?

    @Flag(help: "Count cached prompt tokens in usage.")
    var enablePromptTokensDetails = false

    @Flag(help: "Echo the request id in X-Request-Id.")
    var enableRequestIdHeaders = false

    @Flag(help: "Accept chat templates in requests.")
    var trustRequestChatTemplate = false

    @Flag(help: "Log every request.")
    var enableLogRequests = false

    @Flag(name: .customLong("queue-full-429"), help: "Answer 429 instead of 503 when the queue is full.")
    var queueFull429 = false

    @Option(help: "Least severe messages to log: trace, debug, info, notice, warning or error.")
    var logLevel = "info"

    @Flag(help: "Print nothing but warnings.")
    var quiet = false

    func validate() throws {
        guard (0...65535).contains(port) else { throw ValidationError("--port is \(port), but must be 0 to 65535") }
        guard shutdownTimeout >= 0 else { throw ValidationError("--shutdown-timeout must not be negative") }
        guard streamInterval >= 1 else { throw ValidationError("--stream-interval must be at least 1") }
        guard !apiKey.contains("") else { throw ValidationError("--api-key must not be empty") }
    }

    func serverOptions(_ lora: LoRAFlags, _ environment: [String: String]) -> ServerOptions {
        var options = ServerOptions()
        options.host = host
        options.port = port
        options.unixSocketPath = uds
        options.apiKeys = apiKey
        options.cors.allowedOrigins = allowedOrigins
        options.cors.allowedMethods = allowedMethods
        options.cors.allowedHeaders = allowedHeaders
        options.cors.allowsCredentials = allowCredentials
        options.maxBodyBytes = maxBodySize.count
        options.shutdownTimeoutSeconds = shutdownTimeout
        options.streamInterval = streamInterval
        options.keepAliveIntervalSeconds = sseKeepAliveInterval
        options.answersFullQueueWith429 = queueFull429
        options.enablePromptTokensDetails = enablePromptTokensDetails
        options.enableRequestIDHeaders = enableRequestIdHeaders
        options.trustRequestChatTemplate = trustRequestChatTemplate
        options.logsAccess = enableLogRequests
        options.allowsAdapterUpdates = lora.allowsUpdates(environment)
        return options
    }
}
