package import OpenAI

/// What the operator sets about the HTTP side.
package struct ServerOptions: Sendable {
    /// Loopback unless the operator says otherwise: an open port is a decision.
    package var host = "127.0.0.1"
    /// 0 takes a free port, which the log then names.
    package var port = 8000
    /// Instead of host and port.
    package var unixSocketPath: String?
    /// Any of them opens the paths below `/v1`; empty leaves them open.
    package var apiKeys: [String] = []
    package var cors = CORSOptions()

    package var maxBodyBytes = 64 << 20
    package var maxConnections = 4096
    /// From the opening of a connection, or the end of the last reply, to the next request's head; also how long a client may leave a
    /// reply unread.
    package var idleTimeoutSeconds = 75
    /// From a request's head to the end of its body.
    package var bodyTimeoutSeconds = 60
    /// What running requests get on SIGTERM before they are aborted.
    package var shutdownTimeoutSeconds = 5
    /// A step that takes longer makes `/health` answer 503.
    package var stuckAfterSeconds = 300

    package var limits = RequestLimits()
    package var streamInterval = 1
    /// Comment lines on streams that have been silent so long; nil sends none.
    package var keepAliveIntervalSeconds: Int?
    /// 429 rather than 503 when the queue is full.
    package var answersFullQueueWith429 = false
    package var enablePromptTokensDetails = false
    /// Echo the request id in `X-Request-Id`.
    package var enableRequestIDHeaders = false
    package var trustRequestChatTemplate = false
    /// The role that chat replies name.
    package var responseRole = "assistant"
    /// A last chunk with the usage on every stream, asked for or not.
    package var alwaysIncludesUsage = false
    /// Answer probes and metrics alone: nothing that needs the model.
    package var isOperationalOnly = false
    /// Prometheus text that is put behind the metrics of engine and server.
    package var moreMetrics: (@Sendable () -> [UInt8])?
    /// Answer the routes that load and unload adapters, from paths that the client names.
    package var allowsAdapterUpdates = false
    package var logsAccess = false
    /// nil leaves `system_fingerprint` null.
    package var fingerprint: String? = "needletail-\(ServerVersion.text)"

    package init() {}
}

package struct CORSOptions: Sendable, Equatable {
    /// `*` is any; empty leaves CORS off.
    package var allowedOrigins: [String] = []
    package var allowedMethods = ["*"]
    package var allowedHeaders = ["*"]
    package var allowsCredentials = false

    package init() {}
}

package enum ServerVersion {
    package static let text = "0.1.0"
}
