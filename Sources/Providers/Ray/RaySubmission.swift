internal import JSON

/// What Ray says of a submitted job (`JobDetails` of its REST API, Ray 2.x).
struct RaySubmission: Sendable, Equatable {
    let state: ProviderState
    /// The end of the log, where the message carries it.
    var log: String?

    init(_ json: JSONValue) {
        let message = json["message"]?.string ?? ""
        if let mark = message.firstRange(of: "last available logs"), let line = message[mark.upperBound...].firstIndex(of: "\n") {
            log = String(message[message.index(after: line)...])
        }
        switch json["status"]?.string {
        case "PENDING": state = .pending(reason: "Ray: \(OneLine.text(message).shortened(300))")
        case "RUNNING": state = .running
        case "SUCCEEDED": state = .ended(reason: "exit code 0", succeeded: true)
        case "STOPPED": state = .ended(reason: "stopped by Ray as asked", succeeded: true)
        case "FAILED": state = .ended(reason: Self.failure(json, message), succeeded: false)
        case let other: state = .unknown(reason: "Ray gives the state '\((other ?? "none").shortened(40))', which is not known")
        }
    }

    private static func failure(_ json: JSONValue, _ message: String) -> String {
        if let code = json["driver_exit_code"]?.int {
            return code < 0 ? "killed by signal \(-code)" : "exit code \(code)"
        }
        if message.contains("its node has died") {
            let node = json["driver_node_id"]?.string.map { " (node \($0.prefix(12)))" } ?? ""
            return "the Ray node that it ran on has died\(node)"
        }
        return "Ray: \(OneLine.text(message).shortened(400))"
    }
}
