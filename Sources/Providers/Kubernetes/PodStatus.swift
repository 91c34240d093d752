internal import JSON

/// What keeps a pod from serving, out of its status (core/v1 `Pod`).
struct PodStatus: Sendable, Equatable {
    let name: String
    let isReady: Bool
    /// Such as "Unschedulable: 0/3 nodes are available"; nil where it is ready or simply starting.
    let reason: String?

    init(_ pod: JSONValue) {
        name = pod["metadata"]?["name"]?.string ?? ""
        let status = pod["status"] ?? .null
        let conditions = status["conditions"]?.array ?? []
        let isLeaving = pod["metadata"]?["deletionTimestamp"]?.string != nil
        isReady = !isLeaving && conditions.contains { $0["type"]?.string == "Ready" && $0["status"]?.string == "True" }
        reason = isReady || isLeaving ? nil : Self.obstacle(status, conditions)
    }

    private static func obstacle(_ status: JSONValue, _ conditions: [JSONValue]) -> String? {
        let containers = (status["initContainerStatuses"]?.array ?? []) + (status["containerStatuses"]?.array ?? [])
        for container in containers {
            let waiting = container["state"]?["waiting"]
            guard let reason = waiting?["reason"]?.string, !["ContainerCreating", "PodInitializing"].contains(reason) else { continue }
            var text = join(reason, waiting?["message"]?.string)
            if let last = container["lastState"]?["terminated"], let code = last["exitCode"]?.int {
                text += " (it ended with exit code \(code)" + (last["reason"]?.string.map { $0 == "Error" ? "" : ", \($0)" } ?? "") + ")"
            }
            return text
        }
        if let unscheduled = conditions.first(where: { $0["type"]?.string == "PodScheduled" && $0["status"]?.string == "False" }) {
            return join(unscheduled["reason"]?.string ?? "not scheduled", unscheduled["message"]?.string)
        }
        if status["phase"]?.string == "Failed" { return join(status["reason"]?.string ?? "Failed", status["message"]?.string) }
        return nil
    }

    /// The reason that most pods give.
    static func reason(of pods: [PodStatus]) -> String? {
        var counts: [String: Int] = [:]
        for case let reason? in pods.map(\.reason) { counts[reason, default: 0] += 1 }
        return counts.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
    }

    /// Why a Deployment has no pods.
    static func failure(deployment: JSONValue) -> String? {
        let conditions = deployment["status"]?["conditions"]?.array ?? []
        let failed =
            conditions.first { $0["type"]?.string == "ReplicaFailure" && $0["status"]?.string == "True" }
            ?? conditions.first { $0["type"]?.string == "Progressing" && $0["status"]?.string == "False" }
        return failed.map { join($0["reason"]?.string ?? "failed", $0["message"]?.string) }
    }

    private static func join(_ reason: String, _ message: String?) -> String {
        guard let message, !message.isEmpty else { return reason }
        return "\(reason): \(OneLine.text(message).shortened(300))"
    }
}
