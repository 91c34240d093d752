internal import AsyncHTTPClient
package import JSON
package import Logging
package import Server
internal import NIOPosix
internal import Synchronization
internal import WorkerProtocol

extension Worker {
    /// What one job comes to without a gateway.
    package struct Outcome: Sendable {
        /// `{"output":[…]}` or `{"error":"…"}`.
        package var json: String
        package var hasFailed: Bool
    }

    /// Runs one job.
    /// - Parameter job: with `input`, and an `id` if it is to have one.
    package static func runOnce(_ job: JSONValue, service: LocalService, settings: WorkerSettings, logger: Logger) async -> Outcome {
        let message = JobMessage(id: job["id"]?.string ?? "local_test", input: job["input"] ?? .null)
        let outputs = Mutex(JSONWriter())
        let run = JobRun(
            job: message, service: service, settings: settings, notices: OneTimeNotices(), logger: logger, executor: nil,
            emit: { partial in
                outputs.withLock { writer in
                    if !writer.bytes.isEmpty { writer.raw(",") }
                    partial.write(into: &writer)
                }
            }, gathersEvents: true)
        let body: [UInt8], hasFailed: Bool
        switch await run.run() {
        case .streamed: (body, hasFailed) = (JobResultBody.list(outputs.withLock { $0.bytes }), false)
        case .whole(let bytes): (body, hasFailed) = (JobResultBody.limited(bytes, settings.mostResultBytes), bytes.count > settings.mostResultBytes)
        case .failed(let error): (body, hasFailed) = (JobResultBody.failed(error), true)
        case .stopped: (body, hasFailed) = (JobResultBody.failed("stopped"), true)
        }
        return Outcome(json: String(decoding: body, as: UTF8.self), hasFailed: hasFailed)
    }

    /// Tells the gateway why this worker cannot start.
    package static func reportUnhealthy(check: String, reason: String, _ settings: WorkerSettings) async {
        let http = GatewayClient.makeClient(connections: 1, on: MultiThreadedEventLoopGroup.singleton.any())
        let client = GatewayClient(client: http, key: settings.key, agent: settings.agent, logger: Logger(label: "worker"))
        await PingLoop(settings: settings, client: client, table: JobTable(capacity: 1)).reportUnhealthy(check: check, reason: reason)
        try? await http.shutdown()
    }
}
