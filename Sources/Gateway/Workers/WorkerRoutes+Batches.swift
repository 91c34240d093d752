internal import Hummingbird
internal import HummingbirdCore
internal import JSON
internal import Jobs
internal import Logging
internal import NIOCore
internal import Web
internal import WorkerProtocol

/// Batch after batch in one request.
extension WorkerRoutes {
    /// Takes the batches of our own worker as they come, and answers while it reads (`BatchStream`).
    /// - Parameter admit: checks the key again. It may have been withdrawn, and the endpoint changed, since the request began.
    func streamBatches(_ call: WorkerCall, admit: @escaping @Sendable () async throws(ClientError) -> WorkerCall) -> Response {
        let body = ResponseBody { writer in
            let channel = call.call.channel
            var last = BatchStream.Answer(number: -1, isOver: true)
            if core.longPosts.open(channel) {
                defer { core.longPosts.close(channel) }
                do {
                    try await takeBatches(call, admit, last: &last.number, to: &writer)
                } catch {
                    // What has no answer yet is posted again, as a request of its own, and gets its status.
                    core.logger.debug("a worker's batches end: \(error)", metadata: ["worker": "\(call.worker)"])
                }
            }
            try await writer.write(Self.line(last))
            try await writer.finish(nil)
        }
        // A proxy shall not gather the answers.
        return Response(status: .ok, headers: [.contentType: "application/x-ndjson", .xAccelBuffering: "no"], body: body)
    }

    /// Milliseconds for which a key that was checked is good.
    private static let admissionMilliseconds: Int64 = 5000

    /// - Parameter last: number of the last batch that was taken.
    private func takeBatches(
        _ first: WorkerCall, _ admit: @Sendable () async throws(ClientError) -> WorkerCall, last: inout Int, to writer: inout any ResponseBodyWriter
    ) async throws {
        var call = first
        var admittedAt = Timestamp.now
        var reader = BatchStream.Reader()
        for try await piece in first.call.request.body {
            reader.add(piece.readableBytesView)
            while let batch = try reader.next() {
                if Timestamp.now.milliseconds - admittedAt.milliseconds > Self.admissionMilliseconds {
                    call = try await admit()
                    admittedAt = .now
                }
                let gone = try await take(batch.frames, call)
                last = batch.number
                if batch.wantsAnswer || !gone.isEmpty { try await writer.write(Self.line(BatchStream.Answer(number: batch.number, gone: gone))) }
            }
        }
        guard reader.isEmpty else { throw ClientError.bad("the request ends within a batch") }
    }

    private static func line(_ answer: BatchStream.Answer) -> ByteBuffer {
        var writer = JSONWriter(capacity: 64)
        BatchStream.append(answer, to: &writer)
        return ByteBuffer(bytes: writer.bytes)
    }
}
