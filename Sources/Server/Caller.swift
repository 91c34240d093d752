internal import Engine
internal import Web

/// Whom an answer is for: what the request is called, and how its end is noticed.
struct Caller: Sendable {
    /// Replies carry it, behind a prefix.
    var requestID: String
    /// Whether the caller gave `requestID`, so that one in the body counts for nothing.
    var hasOwnID: Bool
    var priority: Int?
    var arrival: MonotonicTime
    /// For requests that give no seed; nil draws one.
    var seed: UInt64?
    /// What an earlier run of the same request has already given.
    var progress: ReplyProgress?
    /// Tells when nobody waits for the answer any more.
    var watch: @Sendable () async -> ConnectionWatch
}
