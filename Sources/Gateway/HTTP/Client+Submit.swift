internal import Hummingbird
internal import JSON
internal import Jobs
internal import NIOCore
internal import Synchronization

/// The job API of an endpoint, as Runpod's clients speak it (`/v2/{endpoint}/…`).
struct ClientRoutes: Sendable {
    let core: GatewayCore
    let limits: RequestLimits

    // MARK: /run, /runsync

    func run(_ call: GatewayCall, _ endpoint: EndpointDefinition) async throws(ClientError) -> Response {
        let new = try await newJob(call, endpoint, .run)
        try await submit(new)
        return Reply.json { JobStatus.brief(new.job.id, .inQueue, into: &$0) }
    }

    func runsync(_ call: GatewayCall, _ endpoint: EndpointDefinition) async throws(ClientError) -> Response {
        let wait = try call.clamped("wait", limits.waitRange, default: limits.runsyncHold)
        let new = try await newJob(call, endpoint, .runsync)
        let deadline = NIODeadline.now() + .milliseconds(Int64(wait))
        // A client that goes away leaves the job running.
        let watching = core.watch.open(new.job.id)
        try await submit(new)
        return try await hold(new.job.id, new.job, watching, until: deadline, call)
    }

    private func newJob(_ call: GatewayCall, _ endpoint: EndpointDefinition, _ origin: JobOrigin) async throws(ClientError) -> NewJob {
        let mebibytes = (origin == .run ? limits.runBody : limits.runsyncBody) >> 20
        let body = try await call.body(
            limit: origin == .run ? limits.runBody : limits.runsyncBody,
            tooLarge: .bad("bad request: body: exceeded max body size of \(mebibytes)MiB"))
        let request = try JobRequest(body)
        if let webhook = request.webhook { try limits.checkWebhook(webhook, endpoint) }
        try checkRoom(endpoint)
        let policy = JobPolicy(
            executionTimeout: request.executionTimeout ?? endpoint.executionTimeout, timeToLive: request.timeToLive ?? endpoint.timeToLive,
            lowPriority: request.lowPriority, retention: origin == .run ? endpoint.runRetention : endpoint.runsyncRetention)
        let job = Job(
            id: .make(origin), endpoint: endpoint.id, origin: origin, policy: policy, webhook: request.webhook,
            prefix: PromptPrefix.hashes(request.input), submittedAt: .now)
        return NewJob(job: job, payload: JobPayload(input: request.input, extras: request.extras))
    }

    /// Refuses where too many jobs wait, or where none could ever be served.
    func checkRoom(_ endpoint: EndpointDefinition) throws(ClientError) {
        if core.isStopping.withLock({ $0 }) { throw .unavailable("the gateway is shutting down") }
        let waiting = core.dispatcher.figures(endpoint.id).inQueue
        let allowed = endpoint.maxQueuedJobs ?? max(50, 500 * endpoint.scaling.workersMax)
        if waiting >= allowed {
            throw .busy("the queue of '\(endpoint.id)' is full: \(waiting) jobs wait (maxQueuedJobs)", retryAfter: 5)
        }
    }

    func submit(_ new: NewJob) async throws(ClientError) {
        do { try await core.submit(new) } catch { throw .unavailable("the job was not accepted: \(error)") }
    }

    // MARK: /status, /status-sync

    func status(_ call: GatewayCall, _ id: JobID, _ endpoint: EndpointID) async throws(ClientError) -> Response {
        if let text = call.parameter("ttl") {
            guard let milliseconds = Int(text), milliseconds >= 0 else { throw .bad("'ttl' must be a whole number of milliseconds") }
            _ = try await job(id, endpoint)
            do { try await core.apply(id, .retain(milliseconds: milliseconds), .committed) } catch { throw ClientError(error) }
        }
        let (job, result) = try await record(id, endpoint)
        return answer(job, result)
    }

    func statusSync(_ call: GatewayCall, _ id: JobID, _ endpoint: EndpointID) async throws(ClientError) -> Response {
        let wait = try call.clamped("wait", limits.waitRange, default: limits.runsyncHold)
        let deadline = NIODeadline.now() + .milliseconds(Int64(wait))
        let watching = core.watch.open(id)
        let job = try await job(id, endpoint)
        return try await hold(id, job, watching, until: deadline, call)
    }

    /// Waits until the job is over or the time is.
    private func hold(
        _ id: JobID, _ first: Job, _ watching: JobWatch.Watching, until deadline: NIODeadline, _ call: GatewayCall
    ) async throws(ClientError) -> Response {
        var job = first
        while !job.state.isTerminal, !core.isClosing.withLock({ $0 }) {
            let notices = await watching.box.take(until: deadline, on: call.eventLoop)
            if notices.isEmpty { break }
            for notice in notices {
                switch notice {
                case .ended(let ended, let result): return answer(ended, result)
                case .changed(let changed): job = changed
                case .relayed: break
                case .poke: job = try await self.job(id, first.endpoint)
                }
            }
        }
        let (now, result) = try await record(id, first.endpoint)
        return answer(now, result)
    }

    private func answer(_ job: Job, _ result: JobResult) -> Response {
        let note = job.state == .inQueue ? core.endpoints.note(job.endpoint) : nil
        return Reply.json { JobStatus.write(job, result, note: note, at: .now, into: &$0) }
    }

    // MARK: Reading

    func job(_ id: JobID, _ endpoint: EndpointID) async throws(ClientError) -> Job {
        let job: Job?
        do { job = try await core.store.job(id) } catch { throw ClientError(error) }
        guard let job, job.endpoint == endpoint, job.expiresAt > .now else { throw .noJob }
        return job
    }

    func record(_ id: JobID, _ endpoint: EndpointID) async throws(ClientError) -> (job: Job, result: JobResult) {
        let record: (job: Job, result: JobResult)?
        do { record = try await core.store.record(id) } catch { throw ClientError(error) }
        guard let record, record.job.endpoint == endpoint, record.job.expiresAt > .now else { throw .noJob }
        return record
    }
}

/// Sizes and times of the job API.
struct RequestLimits: Sendable {
    /// Bytes.
    var runBody = 10 << 20
    var runsyncBody = 20 << 20
    /// ms
    var waitRange = 1000...300_000
    var runsyncHold = 90_000
    /// The Python client gives up after 10 s of silence.
    var streamHold = 5000
    var takeHold = 25_000
    var stopHold = 25_000
    /// Before a stream's headers are sent without a first byte from a worker, ms.
    var earlyHeaders = 5000
    var keepAlive = 10_000

    /// Refuses a webhook that could never be sent.
    func checkWebhook(_ url: String, _ endpoint: EndpointDefinition) throws(ClientError) {
        do { _ = try WebhookTarget.check(url: url, allowsPrivate: endpoint.allowsPrivateWebhooks) } catch { throw .bad(error.description) }
    }
}
