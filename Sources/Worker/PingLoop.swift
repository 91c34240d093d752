internal import Logging
internal import NIOCore
internal import Server

/// Tells the gateway that the worker lives, and with which jobs.
struct PingLoop: Sendable {
    let settings: WorkerSettings
    let client: GatewayClient
    let table: JobTable

    /// Pings at once and then at each interval, until cancelled.
    func run() async {
        while !Task.isCancelled {
            if let url = settings.addresses.ping(parameters) { await ping(url) }
            do { try await Task.sleep(for: .seconds(settings.pingInterval)) } catch { return }
        }
    }

    private var parameters: [(String, String)] {
        let jobs = table.jobs
        return (jobs.isEmpty ? [] : [("job_id", jobs.joined(separator: ","))]) + [("runpod_version", settings.sdkVersion)]
    }

    private func ping(_ url: String) async {
        var pause = Backoff(first: 0.2, longest: 2)
        for _ in 0..<4 {
            let status = try? await client.get(url, limit: .milliseconds(Int64(settings.pingInterval * 2000))).status
            if let status, status != 429, status < 500 { return }
            do { try await Task.sleep(for: .seconds(pause.next())) } catch { return }
        }
    }

    /// Tells a gateway of ours that no more jobs are wanted: it answers the poll that is open.
    /// - Returns: whether it has heard.
    func leave() async -> Bool {
        guard let url = settings.addresses.ping([("status", "leaving")] + parameters) else { return false }
        return (try? await client.get(url, limit: .seconds(2)).status) == 200
    }

    /// The last word of a worker that cannot go on.
    func reportUnhealthy(check: String, reason: String) async {
        let text = String(decoding: reason.utf8.prefix(256), as: UTF8.self)
        let parameters = [("status", "unhealthy"), ("check", check), ("reason", text), ("runpod_version", settings.sdkVersion)]
        guard let url = settings.addresses.ping(parameters) else { return }
        _ = try? await client.get(url, limit: .seconds(2))
    }
}

/// Watches over the engine.
struct EngineWatch: Sendable {
    let settings: WorkerSettings
    let generator: any Generator

    /// Returns when the engine has failed; nil when cancelled.
    func run() async -> Worker.End? {
        while !Task.isCancelled {
            if !generator.isAlive { return .failed(check: "engine", reason: "the engine has stopped") }
            if let duration = generator.currentStepDuration, duration > .seconds(settings.stuckAfter) {
                return .failed(check: "engine", reason: "the engine has been in one step for \(duration.components.seconds) s and seems stuck")
            }
            do { try await Task.sleep(for: .seconds(1)) } catch { return nil }
        }
        return nil
    }
}
