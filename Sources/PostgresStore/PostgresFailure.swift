internal import Jobs

/// What went wrong with a statement or connection.
struct PostgresFailure: Error {
    /// SQLSTATE; empty where the failure is not the server's.
    let state: String
    let message: String
    /// The connection is gone; what was under way may or may not be done.
    let isLost: Bool

    /// Whether the same transaction may succeed on another try: deadlocks, timeouts, a server that stops or starts, a standby that was promoted.
    var isTransient: Bool {
        if isLost { return true }
        switch state {
        case "40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03", "53300", "25006", "25P03": return true
        default: return state.hasPrefix("08")
        }
    }

    /// Whether only another connection can help.
    var wantsReconnect: Bool { isLost || state == "25006" || state == "25P03" || state.hasPrefix("57P") || state.hasPrefix("08") }

    var storeError: StoreError {
        let text = "PostgreSQL: \(message)" + (state.isEmpty ? "" : " (SQLSTATE \(state))")
        return isTransient ? .unavailable(text) : .broken(text)
    }
}

extension StoreError {
    init(postgres error: any Error) {
        switch error {
        case let error as StoreError: self = error
        case let error as PostgresFailure: self = error.storeError
        default: self = .broken("\(error)")
        }
    }
}
