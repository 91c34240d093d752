package import JSON

/// One entry of a batch post: a partial output of a job, or its result.
///
/// Our own worker posts what all its jobs have made since the last post in one request, `POST …/job-stream-batch/{worker}?…`, where the gateway
/// offers it (`X-Needletail-Batch: 1` on the answer to a take). Each entry is a line of JSON, `length` bytes and a line feed:
///
///     {"job":"…","attempt":1,"index":7,"form":"text","resume":{…},"length":42}\n<42 bytes>\n
///     {"job":"…","attempt":1,"form":"done","length":13}\n{"output":[]}\n
///
/// The answer is 200 with `{"gone":["job id",…]}`: jobs that the worker no longer has and should stop. Entries are applied in order, and again
/// without harm if the post is repeated.
package struct ChunkFrame: Sendable, Equatable {
    package enum Form: String, Sendable {
        /// `body` is the JSON text of a chunk.
        case json
        /// `body` is a chunk that is a string, as its UTF-8 bytes.
        case text
        /// `body` is what would be posted to job-done: `{"output": …}` or `{"error": …}`.
        case done
        /// The worker ends and does not go on with the job: another one is to have it, behind the chunks so far. No body.
        case back
    }

    package var job: String
    package var attempt: Int
    /// Of the chunk in its job, over all attempts; 0 with `done` and `back`.
    package var index: Int
    package var form: Form
    /// JSON text; see `ResumeDelta`.
    package var resume: [UInt8]?
    package var body: [UInt8]

    package init(job: String, attempt: Int, index: Int, form: Form, resume: [UInt8]? = nil, body: [UInt8]) {
        self.job = job
        self.attempt = attempt
        self.index = index
        self.form = form
        self.resume = resume
        self.body = body
    }
}

package struct ChunkBatchError: Error, Sendable, CustomStringConvertible {
    package let description: String
}

package enum ChunkBatch {
    package static func append(_ frame: ChunkFrame, to writer: inout JSONWriter) {
        writer.raw("{\"job\":")
        writer.string(frame.job)
        writer.raw(",\"attempt\":")
        writer.int(frame.attempt)
        writer.raw(",\"index\":")
        writer.int(frame.index)
        writer.raw(",\"form\":\"")
        writer.raw(frame.form.rawValue)
        writer.raw("\"")
        if let resume = frame.resume {
            writer.raw(",\"resume\":")
            writer.bytes.append(contentsOf: resume)
        }
        writer.raw(",\"length\":")
        writer.int(frame.body.count)
        writer.raw("}\n")
        writer.bytes.append(contentsOf: frame.body)
        writer.raw("\n")
    }

    package static func frames(_ bytes: [UInt8]) throws(ChunkBatchError) -> [ChunkFrame] {
        var frames: [ChunkFrame] = []
        var offset = 0
        while offset < bytes.count {
            guard let end = bytes[offset...].firstIndex(of: UInt8(ascii: "\n")) else { throw bad(offset, "a header has no end") }
            let (frame, length) = try header(bytes[offset..<end], offset)
            let (bodyEnd, overflow) = (end + 1).addingReportingOverflow(length)
            guard !overflow, bodyEnd < bytes.count, bytes[bodyEnd] == UInt8(ascii: "\n") else { throw bad(offset, "the body is not \(length) bytes and a line feed") }
            var whole = frame
            whole.body = Array(bytes[(end + 1)..<bodyEnd])
            frames.append(whole)
            offset = bodyEnd + 1
        }
        return frames
    }

    private static func header(_ line: ArraySlice<UInt8>, _ offset: Int) throws(ChunkBatchError) -> (ChunkFrame, length: Int) {
        var frame = ChunkFrame(job: "", attempt: -1, index: 0, form: .json, body: [])
        var length = -1
        var form: String?
        do {
            try line.withUnsafeBufferPointer { bytes in
                try JSONReader.read(bytes) { (reader: inout JSONReader) throws in
                    try reader.readObject { (reader: inout JSONReader, key: String) throws in
                        switch key {
                        case "job": frame.job = try reader.readString()
                        case "attempt": frame.attempt = try reader.readInt()
                        case "index": frame.index = try reader.readInt()
                        case "form": form = try reader.readString()
                        case "length": length = try reader.readInt()
                        case "resume":
                            let start = reader.offset
                            try reader.skipValue()
                            frame.resume = Array(bytes[start..<reader.offset])
                        default: try reader.skipValue()
                        }
                    }
                    try reader.finish()
                }
            }
        } catch {
            throw bad(offset, "\(error)")
        }
        guard !frame.job.isEmpty, frame.attempt >= 0, frame.index >= 0, length >= 0, let known = form.flatMap(ChunkFrame.Form.init(rawValue:)) else {
            throw bad(offset, "job, attempt, form or length is missing or out of range")
        }
        frame.form = known
        return (frame, length)
    }

    private static func bad(_ offset: Int, _ reason: String) -> ChunkBatchError {
        ChunkBatchError(description: "batch entry at byte \(offset): \(reason)")
    }
}
