/// Takes a streamed reply piece by piece.
protocol PieceSink {
    /// - Parameters:
    ///   - bytes: whole events; empty where updates were asked for.
    ///   - advance: what they say; nil unless the run keeps a record.
    mutating func write(_ bytes: [UInt8], _ advance: ReplyAdvance?) async throws
    /// After the last piece.
    mutating func finish() async throws
}
