internal import Engine
internal import Logging
internal import NIOCore
internal import Server
internal import Synchronization

/// Tells the gateway that the worker lives, and with which jobs; watches the engine on the way.
final class PingLoop: Sendable {
    private struct State {
        var failure: (check: String, reason: String)?
        var waiter: CheckedContinuation<Void, Never>?
        var isOver = false
    }

    private let settings: WorkerSettings
    private let client: GatewayClient
    private let table: JobTable
    private let generator: any Generator
    private let state = Mutex(State())

    init(settings: WorkerSettings, client: GatewayClient, table: JobTable, generator: any Generator) {
        self.settings = settings
        self.client = client
        self.table = table
        self.generator = generator
    }

    /// Pings at once and then at each interval, until cancelled.
    func run() async {
        while !Task.isCancelled {
            checkEngine()
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

    private func checkEngine() {
        if !generator.isAlive {
            fail("engine", "the engine has stopped")
        } else if let duration = generator.currentStepDuration, duration > .seconds(settings.stuckAfter) {
            fail("engine", "the engine has been in one step for \(duration.components.seconds) s and seems stuck")
        }
    }

    private func fail(_ check: String, _ reason: String) {
        let waiter = state.withLock { state in
            if state.failure == nil { state.failure = (check, reason) }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Returns when the engine has failed; nil when cancelled.
    func failure() async -> Worker.End? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let ready = state.withLock { state in
                    let ready = state.failure != nil || state.isOver
                    if !ready { state.waiter = continuation }
                    return ready
                }
                if ready { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.isOver = true
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume()
        }
        return state.withLock { $0.failure }.map { .failed(check: $0.check, reason: $0.reason) }
    }

    /// The last word of a worker that cannot go on.
    func reportUnhealthy(check: String, reason: String) async {
        await Self.reportUnhealthy(check: check, reason: reason, settings, client)
    }

    static func reportUnhealthy(check: String, reason: String, _ settings: WorkerSettings, _ client: GatewayClient) async {
        let text = String(decoding: reason.utf8.prefix(256), as: UTF8.self)
        let parameters = [("status", "unhealthy"), ("check", check), ("reason", text), ("runpod_version", settings.sdkVersion)]
        guard let url = settings.addresses.ping(parameters) else { return }
        _ = try? await client.get(url, limit: .seconds(2))
    }
}
