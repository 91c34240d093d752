internal import JSON
internal import Logging
internal import NIOCore

/// Asks which jobs to stop, beside the takes.
struct StopLoop: Sendable {
    let settings: WorkerSettings
    let client: GatewayClient
    let table: JobTable
    let logger: Logger

    /// Until cancelled, or until the gateway says that it has no such channel.
    func run() async -> Worker.End? {
        guard let url = settings.addresses.stop else { return nil }
        var hasChannel = false
        while !Task.isCancelled {
            do {
                let answer = try await client.get(url, limit: .seconds(90))
                if answer.status == 200 || answer.status == 204 { hasChannel = true }
                switch answer.status {
                case 200:
                    let ids = (try? JSONValue(parsing: answer.body))?["jobsToStop"]?.array?.compactMap(\.string) ?? []
                    for id in ids where table.stop(job: id) { logger.info("told to stop", metadata: ["request_id": "\(id)"]) }
                    if ids.isEmpty { try await Task.sleep(for: .seconds(1)) }
                case 204: try await Task.sleep(for: .milliseconds(100))
                case 404, 405, 501:
                    // One that was there comes back: an endpoint is put back, a proxy has found its gateway again.
                    guard hasChannel else { return nil }
                    try await Task.sleep(for: .seconds(10))
                case 429: try await Task.sleep(for: .seconds(5))
                default: try await Task.sleep(for: .seconds(1))
                }
            } catch {
                if Task.isCancelled { return nil }
                do { try await Task.sleep(for: .seconds(1)) } catch { return nil }
            }
        }
        return nil
    }
}
