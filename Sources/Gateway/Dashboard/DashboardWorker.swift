package import JSON
package import Jobs

/// One worker on the dashboard.
package struct DashboardWorker: Sendable {
    /// A part of a worker's start, such as "process", "weights", "warm-up".
    package struct Phase: Sendable, Equatable {
        package var name: String
        package var milliseconds: Int

        package init(_ name: String, milliseconds: Int) {
            self.name = name
            self.milliseconds = milliseconds
        }
    }

    package var record: WorkerRecord
    /// The jobs that it has now, the first hundred.
    package var jobs: [JobID]
    package var jobCount: Int
    /// Jobs that it takes at a time; nil: not known.
    package var capacity: Int?
    /// Of another version of the endpoint's definition.
    package var isOutdated: Bool
    package var phases: [Phase]

    package init(_ record: WorkerRecord, jobs: [JobID] = [], capacity: Int? = nil, isOutdated: Bool = false, phases: [Phase] = []) {
        self.record = record
        self.jobs = Array(jobs.prefix(100))
        jobCount = jobs.count
        self.capacity = capacity
        self.isOutdated = isOutdated
        self.phases = phases
    }

    package func write(into writer: inout JSONWriter) {
        writer.raw("{\"id\":")
        writer.string(record.id.text)
        writer.next("endpoint", record.endpoint.text)
        writer.next("state", record.state.rawValue)
        writer.next("reason", record.reason)
        writer.list("jobs", jobs) { $1.string($0.text) }
        writer.next("jobCount", jobCount)
        writer.next("capacity", capacity)
        writer.next("jobsDone", record.jobsDone)
        writer.next("isOutdated", isOutdated)
        writer.next("startedAt", record.startedAt)
        writer.next("readyAt", record.readyAt)
        writer.next("seenAt", record.seenAt)
        writer.next("stoppedAt", record.stoppedAt)
        writer.list("phases", phases) { phase, writer in
            writer.raw("{\"name\":")
            writer.string(phase.name)
            writer.next("milliseconds", phase.milliseconds)
            writer.raw("}")
        }
        writer.raw("}")
    }
}
