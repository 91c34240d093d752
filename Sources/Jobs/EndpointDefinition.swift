internal import JSON

/// An endpoint's settings, as a definition file or the admin API gives them. Names are those of Runpod's REST API where it has one.
package struct EndpointDefinition: Sendable, Equatable {
    package let id: EndpointID
    package var scaling = ScalingSettings()
    package var provider: ProviderDefinition
    /// Longest run of a job that does not say, ms.
    package var executionTimeout = 600_000
    /// Whole life of a job that does not say, ms.
    package var timeToLive = 86_400_000
    /// How long results of `/run` and `/runsync` are kept, ms.
    package var runRetention = 1_800_000
    package var runsyncRetention = 300_000
    /// How often a job goes back into the queue when its worker is lost.
    package var maxRetries = 1
    /// Jobs that may wait; beyond it 429. Nil: 50 or 500 for each worker, whichever is more.
    package var maxQueuedJobs: Int?
    /// Longest wait of an OpenAI request for its first byte, ms.
    package var openAITimeout = 600_000
    /// Jobs that one worker may have; nil: as many as it asks for.
    package var maxConcurrency: Int?
    /// Largest result that is kept, bytes.
    package var maxResultByteCount = 20 << 20
    package var maxChunkByteCount = 8 << 20
    /// Seconds a worker may take to its first take.
    package var initTimeoutSeconds = 420
    /// Seconds from SIGTERM to SIGKILL.
    package var stopGraceSeconds = 30
    package var pingIntervalMilliseconds = 10_000
    /// Whether webhooks may go to loopback and private addresses.
    package var allowsPrivateWebhooks = false
    /// The JSON it came from, as it is; two definitions with other texts are other versions. Worker records in the store hold it too, with any secret that
    /// stands in `env` or `command` literally: `${NAME}` keeps secrets out of it.
    package var version = ""

    package init(id: EndpointID, provider: ProviderDefinition) {
        self.id = id
        self.provider = provider
    }
}

package struct ScalingSettings: Sendable, Equatable {
    package enum Rule: String, Sendable, CaseIterable {
        /// One more worker while a job has waited longer than `value` seconds.
        case queueDelay = "QUEUE_DELAY"
        /// A worker for each `value` jobs.
        case requestCount = "REQUEST_COUNT"
    }

    package var rule = Rule.queueDelay
    package var value = 4.0
    package var workersMin = 0
    package var workersMax = 3
    /// Seconds without a job before a worker is stopped.
    package var idleTimeout = 5.0
    /// Workers started in any minute at most.
    package var maxStartsPerMinute = 60
    /// Workers that died before their first job, one after another, before no more are started and waiting jobs fail with the reason.
    package var maxQuickExits = 5

    package init() {}
}

/// Who starts an endpoint's workers, and how.
package struct ProviderDefinition: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        /// Processes of this machine.
        case process
        /// Jobs submitted to a Ray cluster.
        case ray
        /// Replicas of a Deployment.
        case kubernetes
        /// Nobody: workers come by themselves, with a worker key.
        case none
    }

    package var kind: Kind
    /// Command and arguments (process, ray). Empty: this binary's `worker`.
    package var command: [String] = []
    /// Added to a worker's environment. Values `${NAME}` are taken from the gateway's own environment.
    package var environment: [(name: String, value: String)] = []
    package var workingDirectory: String?
    /// Where workers reach the gateway, if that is not where it listens.
    package var gatewayURL: String?
    /// Resources of one worker (ray).
    package var cpus: Double?
    package var gpus: Double?
    package var resources: [(name: String, amount: Double)] = []
    /// Address of Ray's dashboard or of the Kubernetes API server.
    package var address: String?
    package var namespace: String?
    package var deployment: String?
    /// File with a bearer token for `address`, and the certificate authority's certificate.
    package var tokenFile: String?
    package var certificateAuthorityFile: String?

    package init(_ kind: Kind) { self.kind = kind }

    package static func == (a: Self, b: Self) -> Bool {
        a.kind == b.kind && a.command == b.command && a.environment.elementsEqual(b.environment, by: ==) && a.workingDirectory == b.workingDirectory
            && a.gatewayURL == b.gatewayURL && a.cpus == b.cpus && a.gpus == b.gpus && a.resources.elementsEqual(b.resources, by: ==)
            && a.address == b.address && a.namespace == b.namespace && a.deployment == b.deployment && a.tokenFile == b.tokenFile
            && a.certificateAuthorityFile == b.certificateAuthorityFile
    }
}
