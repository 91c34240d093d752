internal import Jobs

/// What replicas tell one another, as payloads of PostgreSQL's notifications: the sender on the first line, then a change a line:
/// `j STATE ENDPOINT JOB`, `c ENDPOINT JOB`, `w`, `d`, `k` or `e`.
enum Notice {
    /// PostgreSQL takes less than 8000 bytes a payload.
    private static let limit = 7900

    /// Payloads that hold all changes.
    static func payloads(_ changes: [StoreChange], from replica: String) -> [String] {
        var payloads: [String] = []
        var payload = replica
        for change in changes {
            let line = line(change)
            if payload.utf8.count + 1 + line.utf8.count > limit {
                payloads.append(payload)
                payload = replica
            }
            payload += "\n" + line
        }
        if !changes.isEmpty { payloads.append(payload) }
        return payloads
    }

    private static func line(_ change: StoreChange) -> String {
        switch change {
        // Names that cannot stand in a line are rare: the others look at everything then.
        case .job(let job, let endpoint, let state): isPlain(job, endpoint) ? "j \(state.rawValue) \(endpoint) \(job)" : "e"
        case .chunks(let job, let endpoint): isPlain(job, endpoint) ? "c \(endpoint) \(job)" : "e"
        case .workers: "w"
        case .definitions: "d"
        case .keys: "k"
        case .everything: "e"
        }
    }

    private static func isPlain(_ job: JobID, _ endpoint: EndpointID) -> Bool { job.text.isURLName && endpoint.text.isURLName }

    /// Changes of another replica; none where `replica` sent them itself.
    static func changes(_ payload: String, besides replica: String) -> [StoreChange] {
        let lines = payload.split(separator: "\n")
        guard let sender = lines.first, sender != replica[...] else { return [] }
        return lines.dropFirst().map { line in
            let words = line.split(separator: " ")
            switch (words.first, words.count) {
            case ("j", 4):
                guard let state = JobState(rawValue: String(words[1])) else { return .everything }
                return .job(JobID(String(words[3])), EndpointID(String(words[2])), state)
            case ("c", 3): return .chunks(JobID(String(words[2])), EndpointID(String(words[1])))
            case ("w", 1): return .workers
            case ("d", 1): return .definitions
            case ("k", 1): return .keys
            default: return .everything
            }
        }
    }
}
