/// What a worker needs to know beside the model.
package struct WorkerSettings: Sendable {
    /// Which JSON native input is answered with.
    package enum NativeShape: String, Sendable, CaseIterable {
        /// `{"choices":[{"tokens":[…]}],"usage":{"input","output"}}`, as Runpod's documentation has it.
        case tokens
        /// Replies of the OpenAI API.
        case openai
    }

    package var addresses: GatewayAddresses
    package var workerID: String
    /// The whole value of `Authorization`.
    package var key = ""
    package var hostname = "unknown"
    /// Seconds between pings.
    package var pingInterval = 10.0
    /// Jobs that run at once.
    package var concurrency = 30
    package var batching = TokenBatching()
    package var nativeShape = NativeShape.tokens
    /// Streams of the OpenAI route as the text of their events rather than as lists of objects.
    package var rawOpenAIOutput = true
    /// Bytes of a result; above it the job fails and says so.
    package var mostResultBytes = 20 << 20
    /// Seconds that the gateway may be silent while no job runs.
    package var gatewayLostTimeout = 600.0
    /// Seconds that posts are tried again for.
    package var postPatience = 600.0
    /// Seconds that running jobs get to finish when the worker is told to stop.
    package var stopGrace = 25.0
    /// Seconds of one engine step after which the engine counts as stuck.
    package var stuckAfter = 900.0
    /// Names the model and what else its texts depend on; empty: not known.
    package var fingerprint = ""
    /// Mixed into the seeds of requests that give none.
    package var seed: UInt64 = 0
    /// `X-Needletail-Cold-Start` of the first take: JSON.
    package var coldStart: String?
    /// Version of the SDK whose protocol this worker speaks.
    package var sdkVersion = "1.12.0"
    package var agent = "needletail"

    package init(addresses: GatewayAddresses, workerID: String) {
        self.addresses = addresses
        self.workerID = workerID
    }
}
