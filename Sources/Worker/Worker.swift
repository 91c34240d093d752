internal import AsyncHTTPClient
internal import Engine
internal import JSON
package import Logging
internal import NIOCore
internal import NIOHTTP1
internal import OpenAI
internal import Synchronization
package import Server
internal import WorkerProtocol

/// Takes jobs from a gateway, runs them in this process's engine and posts what comes of them (Runpod's worker protocol; needletail's
/// gateway is also given partial outputs in batches, from which another worker can go on).
package struct Worker: Sendable {
    /// Why the worker is over.
    package enum End: Sendable, Equatable {
        /// As it was told.
        case stopped
        /// It cannot work any more.
        case failed(check: String, reason: String)
    }

    let service: LocalService
    let settings: WorkerSettings
    let logger: Logger
    let table: JobTable
    private let events: WorkerEvents

    package init(service: LocalService, settings: WorkerSettings, logger: Logger, events: WorkerEvents = WorkerEvents()) {
        self.service = service
        self.settings = settings
        self.logger = logger
        self.events = events
        table = JobTable(capacity: settings.concurrency)
    }

    /// Works until `stop` returns (then finishes what runs, within the grace) or nothing works any more.
    package func run(stop: @escaping @Sendable () async -> Void) async -> End {
        let http = GatewayClient.makeClient(connections: settings.concurrency + 8)
        let client = GatewayClient(client: http, key: settings.key, agent: settings.agent, logger: logger)
        let poster = BatchPoster(url: settings.addresses.streamBatch, client: client, table: table, patience: settings.postPatience)
        let end = await withTaskGroup(of: End?.self) { group in
            let pings = PingLoop(settings: settings, client: client, table: table)
            // Pings go on while jobs finish.
            let pinging = Task { await pings.run() }
            group.addTask {
                await stop()
                return .stopped
            }
            let taking = Task { await takeLoop(client, poster) }
            group.addTask { await withTaskCancellationHandler { await taking.value } onCancel: { taking.cancel() } }
            group.addTask { await StopLoop(settings: settings, client: client, table: table, logger: logger).run() }
            group.addTask { await EngineWatch(settings: settings, generator: service.model.generator).run() }
            let posting = Task { await poster.run() }
            var end = End.stopped
            for await result in group {
                guard let result else { continue }
                end = result
                break
            }
            table.beginDraining()
            if case .failed(let check, let reason) = end {
                logger.error("the worker ends: \(reason)")
                await pings.reportUnhealthy(check: check, reason: reason)
                table.stopAll()
            } else {
                if poster.isWanted, await pings.leave() {
                    // The poll is answered now. Jobs that were on their way are not lost in a connection that is cut.
                    await Patience.within(seconds: 3) { _ = await taking.value }
                }
                taking.cancel()
                await finishJobs()
            }
            group.cancelAll()
            poster.close()
            await Patience.within(seconds: end == .stopped ? 5 : 2) { await posting.value }
            posting.cancel()
            pinging.cancel()
            return end
        }
        try? await http.shutdown()
        return end
    }

    /// Lets running jobs finish within the grace; what does not goes back to the gateway, for another worker. (Where there is no way to say so, the
    /// gateway finds out by itself.)
    private func finishJobs() async {
        let count = table.jobs.count
        logger.info("stopping; \(count) job\(count == 1 ? "" : "s") running")
        await Patience.within(seconds: settings.stopGrace) { await table.waitUntilEmpty() }
        let left = table.jobs.count
        if left > 0 {
            logger.warning("giving back \(left) job\(left == 1 ? "" : "s") that did not finish in \(settings.stopGrace) s")
            table.giveAllBack()
            await Patience.within(seconds: 5) { await table.waitUntilEmpty() }
        }
    }

    // MARK: Taking

    private func takeLoop(_ client: GatewayClient, _ poster: BatchPoster) async -> End? {
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
                    let jobs = TakenJobs(answer.body, logger)
                    if jobs.messages.isEmpty { try await pauseAfterInstantAnswer(begin) }
                    if isBatch { poster.want() }
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

    private func pauseAfterInstantAnswer(_ begin: MonotonicTime) async throws {
        if MonotonicTime.now.seconds(since: begin) < 0.1 { try await Task.sleep(for: .milliseconds(100)) }
    }

    private func reportBroken(_ id: String, _ client: GatewayClient) async {
        let body = JobResultBody.failed("the job has no input")
        _ = await client.post(settings.addresses.done(id, isStream: false), body, type: GatewayClient.formType, job: id, patience: 5)
    }

    // MARK: Running

    private func start(_ message: JobMessage, _ client: GatewayClient, _ poster: BatchPoster?, _ notices: OneTimeNotices) {
        logger.debug("started", metadata: ["request_id": "\(message.id)"])
        table.start(message.id, attempt: message.attempt) { serial in
            if let poster {
                await batched(message, serial, poster, notices)
            } else {
                await single(message, serial, client, notices)
            }
        }
    }

    private func run(
        _ message: JobMessage, _ notices: OneTimeNotices, gathersEvents: Bool, emit: @escaping @Sendable (Partial) async -> Void
    ) async -> JobRun.End {
        if Task.isCancelled { return .stopped }
        let events = events
        // With the first partial output of all.
        let model = Mutex(message.resume == nil && !settings.fingerprint.isEmpty ? settings.fingerprint : nil)
        let run = JobRun(
            job: message, service: service, settings: settings, notices: notices, logger: logger,
            emit: { partial in
                events.firstOutput()
                var partial = partial
                partial.delta.model = model.withLock { model in
                    defer { model = nil }
                    return model
                }
                await emit(partial)
            }, gathersEvents: gathersEvents)
        return await run.run()
    }

    private func batched(_ message: JobMessage, _ serial: JobTable.Serial, _ poster: BatchPoster, _ notices: OneTimeNotices) async {
        poster.open(
            serial, job: message.id, attempt: message.attempt ?? 0, firstIndex: message.resume?.chunks ?? 0)
        let end = await run(message, notices, gathersEvents: false) { await poster.add($0, serial) }
        table.release(serial)
        switch end {
        case .stopped where table.isGivenBack(serial):
            poster.giveBack(serial)
            return noteEnd(message, "given back")
        case .stopped:
            poster.discard(serial)
            table.end(serial)
            return noteEnd(message, "stopped")
        case .streamed: poster.finish(JobResultBody.list([]), serial)
        case .whole(let bytes): poster.finish(JobResultBody.limited(bytes, settings.mostResultBytes), serial)
        case .failed(let error): poster.finish(JobResultBody.failed(error), serial)
        }
        events.firstOutput()
        noteEnd(message, end)
    }

    private func single(_ message: JobMessage, _ serial: JobTable.Serial, _ client: GatewayClient, _ notices: OneTimeNotices) async {
        let poster = JobPoster(
            job: message.id, url: settings.addresses.stream(message.id), client: client, patience: settings.postPatience,
            mostResultBytes: settings.mostResultBytes)
        let table = table
        let end = await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await poster.run()
                if poster.isGone { table.stop(serial) }
            }
            var end = await run(message, notices, gathersEvents: true) { await poster.add($0) }
            if case .whole(let bytes) = end, bytes.count <= JobPoster.mostChunkBytes {
                await poster.add(Partial(body: .json(bytes), delta: ResumeDelta(tokens: [])))
                end = .streamed
            }
            poster.close()
            await group.waitForAll()
            return end
        }
        table.release(serial)
        defer { table.end(serial) }
        if poster.isGone || Task.isCancelled { return noteEnd(message, "stopped") }
        let body: [UInt8]
        switch end {
        case .stopped: return noteEnd(message, "stopped")
        case .streamed:
            body = poster.aggregate.map(JobResultBody.list) ?? JobResultBody.tooLarge(settings.mostResultBytes)
        case .whole(let bytes): body = JobResultBody.limited(bytes, settings.mostResultBytes)
        case .failed(let error): body = JobResultBody.failed(error)
        }
        noteEnd(message, end)
        await post(body, of: message, client)
    }

    /// Posts a result; where the platform does not take it, that it does not: the job would be computed again, to the same end.
    private func post(_ result: [UInt8], of message: JobMessage, _ client: GatewayClient) async {
        let url = settings.addresses.done(message.id, isStream: true)
        var body = result
        for isLast in [false, true] {
            switch await client.post(url, body, type: GatewayClient.formType, job: message.id, patience: settings.postPatience) {
            case .accepted: return
            case .refused(let status):
                logger.error("a result of \(body.count) bytes was refused with HTTP \(status)", metadata: ["request_id": "\(message.id)"])
                guard !isLast, status == 400 || status == 413 else { return }
                body = JobResultBody.refused(status: status, byteCount: body.count)
            case .failed(let reason):
                return logger.error("the result could not be posted: \(reason)", metadata: ["request_id": "\(message.id)"])
            }
        }
    }

    /// One line for each job.
    private func noteEnd(_ message: JobMessage, _ end: JobRun.End) {
        switch end {
        case .failed(let error): noteEnd(message, "failed: \(error.clipped(to: 500))")
        case .streamed, .whole: noteEnd(message, "finished")
        case .stopped: noteEnd(message, "stopped")
        }
    }

    private func noteEnd(_ message: JobMessage, _ what: String) {
        logger.info("\(what)", metadata: ["request_id": "\(message.id)"])
    }
}
