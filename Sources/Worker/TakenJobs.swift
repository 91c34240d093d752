internal import JSON
internal import Logging
internal import WorkerProtocol

/// What a take brought: one job or a list of them.
struct TakenJobs: Sendable {
    private(set) var messages: [JobMessage] = []
    /// Ids of jobs that lack their input.
    private(set) var broken: [String] = []

    init(_ body: [UInt8], _ logger: Logger) {
        if body.isEmpty { return }
        guard let value = try? JSONValue(parsing: body) else {
            logger.warning("the gateway's answer to a take is not JSON")
            return
        }
        for element in value.array ?? [value] {
            if let message = JobMessage(element) {
                messages.append(message)
            } else if let id = element["id"]?.string, !id.isEmpty {
                broken.append(id)
            } else if element.object?.members.isEmpty == false {
                logger.warning("the gateway handed out a job without id")
            }
        }
    }
}
