internal import Logging
internal import OpenAI
internal import Synchronization
internal import WorkerProtocol

/// One job, from its start to its result's post.
extension Worker {
    func start(_ message: JobMessage, _ client: GatewayClient, _ poster: BatchPoster?, _ notices: OneTimeNotices) {
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
            job: message, service: service, settings: settings, notices: notices, logger: logger, executor: executor,
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
