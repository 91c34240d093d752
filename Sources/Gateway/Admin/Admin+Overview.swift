internal import HTTPTypes
internal import Hummingbird
internal import JSON
internal import Jobs
internal import Synchronization

/// What the dashboard and Prometheus ask for.
extension AdminRoutes {
    func dashboard() -> Response {
        var response = Reply.bytes(DashboardPage.html, type: "text/html; charset=utf-8")
        for (name, value) in DashboardPage.headers {
            if let field = HTTPField.Name(name) { response.headers[field] = value }
        }
        return response
    }

    /// Of the endpoints that the caller may use.
    func metrics(_ caller: Caller) -> Response {
        let now = Timestamp.now
        let reports = supervisor.overview.withLock { $0 }
        let levels = core.endpoints.all.filter { caller.mayUse($0.id) }.map { endpoint in
            let queue = core.dispatcher.figures(endpoint.id)
            let seats = core.dispatcher.seats(endpoint.id)
            return EndpointLevels(
                id: endpoint.id, inQueue: queue.inQueue, inProgress: seats.reduce(0) { $0 + $1.held.count },
                oldestAgeMilliseconds: queue.oldestQueuedAt.map { max(0, now - $0) }, workers: Dictionary(grouping: seats, by: \.record.state).mapValues(\.count),
                workersWanted: reports[endpoint.id]?.desired ?? 0)
        }
        return Reply.bytes(core.signals.metrics.page(levels), type: GatewayMetrics.contentType)
    }

    func overview(_ call: GatewayCall) async throws(ClientError) -> Response {
        let now = Timestamp.now
        let since = call.parameter("since").flatMap { Int($0) }.map { Timestamp(milliseconds: $0) }
        var endpoints: [DashboardEndpoint] = []
        var workers: [DashboardWorker] = []
        let reports = supervisor.overview.withLock { $0 }
        for endpoint in core.endpoints.all {
            let counts: JobCounts
            do { counts = try await core.store.counts(endpoint.id) } catch { throw ClientError(error) }
            let report = reports[endpoint.id] ?? Supervisor.EndpointReport()
            let seats = core.dispatcher.seats(endpoint.id).sorted { $0.record.startedAt < $1.record.startedAt }
            let isReady = seats.contains { $0.record.readyAt != nil && $0.isOpen }
            let isStarting = seats.contains { $0.record.state == .initializing || $0.record.state == .throttled }
            let health: DashboardEndpoint.Health =
                if isReady { .serving } else if report.obstacle != nil, counts.inQueue > 0 || report.quickExits > 0 { .failing } else if isStarting { .starting } else { .asleep }
            endpoints.append(
                DashboardEndpoint(
                    id: endpoint.id, health: health, reason: report.obstacle, counts: counts, scaling: endpoint.scaling, provider: endpoint.provider.kind,
                    workersUp: seats.count { $0.record.state.isUp }, workersWanted: report.desired, why: report.why,
                    workerMilliseconds: counts.workerMilliseconds, points: core.signals.series(endpoint.id).points(since: since, now: now)))
            workers += seats.map { seat in
                DashboardWorker(
                    seat.record, jobs: Array(seat.held.keys), capacity: max(seat.largestBatch, seat.held.count),
                    isOutdated: seat.record.handle != nil && seat.record.version != endpoint.version, phases: seat.phases)
            }
            workers += report.ended.prefix(10).map { DashboardWorker($0) }
        }
        let overview = DashboardOverview(
            now: now, version: about.version, startedAt: about.startedAt, store: about.store, pricePerHour: about.pricePerWorkerHour, endpoints: endpoints, workers: workers)
        return Reply.json { overview.write(into: &$0) }
    }

    func jobs(_ call: GatewayCall) async throws(ClientError) -> Response {
        let query: DashboardJobsQuery
        do { query = try DashboardJobsQuery(call.parameters) } catch { throw .bad(error.description) }
        var jobs: [DashboardJob] = []
        var before: Timestamp?
        do {
            if let state = query.live {
                let endpoints = query.log.endpoints.isEmpty ? core.endpoints.all.map(\.id) : query.log.endpoints
                for endpoint in endpoints {
                    for job in try await core.store.jobs(endpoint, in: state, limit: query.log.limit) { jobs.append(DashboardJob(job, at: .now)) }
                }
                if let text = query.log.text?.lowercased() { jobs.removeAll { !$0.id.text.lowercased().contains(text) } }
            } else {
                let entries = try await core.store.log(query.log)
                jobs = entries.map { DashboardJob($0) }
                if entries.count == query.log.limit { before = entries.last?.finishedAt }
            }
        } catch { throw ClientError(error) }
        let page = DashboardJobPage(jobs: jobs, before: before)
        return Reply.json { page.write(into: &$0) }
    }

    func job(_ id: JobID) async throws(ClientError) -> Response {
        let detail: DashboardJobDetail
        do {
            if let record = try await core.store.record(id) {
                let payload = try await core.store.payload(id)
                detail = DashboardJobDetail(
                    DashboardJob(record.job, error: record.result.error, at: .now), record: record.job, input: payload?.input, output: record.result.output)
            } else {
                // The record is gone; the log may know it.
                var query = JobLogQuery()
                query.text = id.text
                query.limit = 1
                guard let entry = try await core.store.log(query).first, entry.id == id else { throw ClientError.noJob }
                detail = DashboardJobDetail(DashboardJob(entry))
            }
        } catch { throw ClientError(error) }
        return Reply.json { detail.write(into: &$0) }
    }
}

extension WorkerSeat {
    /// Phases of the start in their order: `{"process": 20, "weights": 324, …}`.
    var phases: [DashboardWorker.Phase] {
        guard let object = coldStart.flatMap({ try? JSONValue(parsing: $0) })?.object else { return [] }
        let members = object["phases"]?.object?.members ?? object.members
        return members.compactMap { member in member.value.double.map { DashboardWorker.Phase(member.key, milliseconds: Int(max(0, min($0, 1e9)))) } }
    }
}
