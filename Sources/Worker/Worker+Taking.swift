internal import Engine
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import WorkerProtocol

/// From the gateway's hands into the table.
extension Worker {
    /// On the event loop: what a poll brings is handed on without another thread in between. Takes jobs as long as there is room, until it is cancelled or the table drains; the end where nothing can be taken any more.
    func takeLoop(_ client: GatewayClient, _ poster: BatchPoster) async -> End? {
        let notices = OneTimeNotices()
        var pause = Backoff(first: 0.5, longest: 10)
        var isFirst = true
        var lastWelcome = MonotonicTime.now
        while true {
            let room = await table.room()
            if room == 0 || Task.isCancelled { return nil }
            let url = settings.addresses.take(room, hasJobs: !table.isEmpty)
            let begin = MonotonicTime.now
            do {
                if isFirst { events.firstTake() }
                let extra = isFirst ? settings.coldStart.map { [("X-Needletail-Cold-Start", $0)] } ?? [] : []
                let answer = try await client.get(url, headers: extra, limit: .seconds(90))
                isFirst = false
                switch answer.status {
                case 200:
                    pause.reset()
                    lastWelcome = .now
                    let isBatch = answer.headers.first(name: "X-Needletail-Batch") == "1"
                    let jobs = await read(answer.body)
                    if jobs.messages.isEmpty { try await pauseAfterInstantAnswer(begin) }
                    if isBatch { poster.want(inOneRequest: answer.headers.first(name: "X-Needletail-Batches") == "1") }
                    for message in jobs.messages { start(message, client, isBatch ? poster : nil, notices) }
                    for id in jobs.broken { await reportBroken(id, client) }
                case 204, 400:
                    pause.reset()
                    lastWelcome = .now
                    try await pauseAfterInstantAnswer(begin)
                case 429:
                    let wish = answer.headers.first(name: "Retry-After").flatMap(Double.init) ?? 5
                    try await Task.sleep(for: .seconds(min(60, max(0.1, wish))))
                default:
                    logger.warning("the gateway answers a take with HTTP \(answer.status)")
                    // Its key or its endpoint is gone, and nobody may be left who would end it.
                    if [401, 403, 404].contains(answer.status), table.isEmpty, MonotonicTime.now.seconds(since: lastWelcome) > settings.gatewayLostTimeout {
                        return .failed(
                            check: "gateway", reason: "the gateway has answered takes with HTTP \(answer.status) for \(Int(settings.gatewayLostTimeout)) s")
                    }
                    try await Task.sleep(for: .seconds(pause.next()))
                }
            } catch is CancellationError {
                return nil
            } catch {
                if Task.isCancelled { return nil }
                // A held poll that nobody answered is no trouble.
                if MonotonicTime.now.seconds(since: begin) > 80 { continue }
                logger.debug("the gateway cannot be reached: \(error)")
                if client.secondsSinceContact > settings.gatewayLostTimeout, table.isEmpty {
                    return .failed(
                        check: "gateway", reason: "the gateway could not be reached for \(Int(settings.gatewayLostTimeout)) s: \(error)")
                }
                do { try await Task.sleep(for: .seconds(pause.next())) } catch { return nil }
            }
        }
    }

    /// Long ones away from the event loop, whose streams shall not wait.
    private func read(_ body: [UInt8]) async -> TakenJobs {
        if body.count <= Self.briefBody { return TakenJobs(body, logger) }
        return await withTaskExecutorPreference(globalConcurrentExecutor) { TakenJobs(body, logger) }
    }

    /// Bytes whose reading holds nobody up.
    private static let briefBody = 64 << 10

    private func pauseAfterInstantAnswer(_ begin: MonotonicTime) async throws {
        if MonotonicTime.now.seconds(since: begin) < 0.1 { try await Task.sleep(for: .milliseconds(100)) }
    }

    private func reportBroken(_ id: String, _ client: GatewayClient) async {
        let body = JobResultBody.failed("the job has no input")
        _ = await client.post(settings.addresses.done(id, isStream: false), body, type: GatewayClient.formType, job: id, patience: 5)
    }
}
