package import JSON
package import Jobs

/// `GET /admin/api/overview`: all that the dashboard shows but the job log.
package struct DashboardOverview: Sendable {
    package var now: Timestamp
    package var version: String
    package var startedAt: Timestamp
    /// "SQLite, /var/lib/needletail/jobs.sqlite".
    package var store: String
    /// Price of a worker's hour where an endpoint has none of its own; nil: time only is shown.
    package var pricePerHour: Double?
    package var currency = "$"
    package var endpoints: [DashboardEndpoint]
    package var workers: [DashboardWorker]

    package init(
        now: Timestamp, version: String, startedAt: Timestamp, store: String, pricePerHour: Double? = nil, endpoints: [DashboardEndpoint],
        workers: [DashboardWorker]
    ) {
        self.now = now
        self.version = version
        self.startedAt = startedAt
        self.store = store
        self.pricePerHour = pricePerHour
        self.endpoints = endpoints
        self.workers = workers
    }

    package func write(into writer: inout JSONWriter) {
        writer.raw("{\"now\":")
        writer.int(now.milliseconds)
        writer.next("version", version)
        writer.next("startedAt", startedAt)
        writer.next("store", store)
        writer.next("pricePerHour", pricePerHour)
        writer.next("currency", currency)
        writer.list("endpoints", endpoints) { $0.write(into: &$1) }
        writer.list("workers", workers) { $0.write(into: &$1) }
        writer.raw("}")
    }
}

package struct DashboardEndpoint: Sendable {
    package enum Health: String, Sendable, CaseIterable {
        /// No worker, no job.
        case asleep
        /// Jobs wait for a worker's start.
        case starting
        case serving
        /// Its workers die, or there is no room for them.
        case failing
    }

    package var id: EndpointID
    package var health: Health
    /// Why it is failing or starting, for people.
    package var reason: String?
    package var counts: JobCounts
    package var scaling: ScalingSettings
    package var provider: ProviderDefinition.Kind
    package var workersUp: Int
    /// Workers that the scaler wants, and the sentence that says why.
    package var workersWanted: Int
    package var why: String
    /// What its workers have cost so far, those that are up included.
    package var workerMilliseconds: Int
    package var points: SeriesPoints

    package init(
        id: EndpointID, health: Health, reason: String? = nil, counts: JobCounts, scaling: ScalingSettings, provider: ProviderDefinition.Kind, workersUp: Int,
        workersWanted: Int, why: String, workerMilliseconds: Int, points: SeriesPoints
    ) {
        self.id = id
        self.health = health
        self.reason = reason
        self.counts = counts
        self.scaling = scaling
        self.provider = provider
        self.workersUp = workersUp
        self.workersWanted = workersWanted
        self.why = why
        self.workerMilliseconds = workerMilliseconds
        self.points = points
    }

    package func write(into writer: inout JSONWriter) {
        writer.raw("{\"id\":")
        writer.string(id.text)
        writer.next("health", health.rawValue)
        writer.next("reason", reason)
        writer.next("inQueue", counts.inQueue)
        writer.next("lowPriorityInQueue", counts.lowPriorityInQueue)
        writer.next("inProgress", counts.inProgress)
        writer.next("oldestQueuedAt", counts.oldestQueuedAt)
        writer.next("completed", counts.completed)
        writer.next("failed", counts.failed)
        writer.next("cancelled", counts.cancelled)
        writer.next("timedOut", counts.timedOut)
        writer.next("retried", counts.retried)
        writer.next("rule", scaling.rule.rawValue)
        writer.next("ruleValue", scaling.value)
        writer.next("workersMin", scaling.workersMin)
        writer.next("workersMax", scaling.workersMax)
        writer.next("idleTimeout", scaling.idleTimeout)
        writer.next("provider", provider.rawValue)
        writer.next("workersUp", workersUp)
        writer.next("workersWanted", workersWanted)
        writer.next("why", why)
        writer.next("workerSeconds", Double(workerMilliseconds) / 1000)
        writer.next("points")
        points.write(into: &writer)
        writer.raw("}")
    }
}
