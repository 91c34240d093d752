package import JSON

/// Batches one after another in one request, so that a step of the engine costs one write and not a request with its answer.
///
/// Our own worker opens `POST …/job-stream-batches/{worker}?…` where the gateway offers it (`X-Needletail-Batches: 1` on the answer to a take), with a
/// chunked body. The gateway answers with its head at once, before it has read anything: a worker that waits for it in vain has a proxy before it that
/// gathers bodies, and keeps to single posts. Each batch is a line of JSON, `length` bytes (see `ChunkBatch`) and a line feed:
///
///     {"batch":17,"answer":true,"length":1234}\n<1234 bytes>\n
///
/// The gateway's body has a line for each batch that asks for an answer or names jobs that the worker no longer has, which holds for the batches
/// before it, too; and a last one once the request has ended, or where the gateway cannot go on, for the last batch that it has taken:
///
///     {"batch":17,"gone":["job id",…]}\n
///     {"batch":21,"gone":[],"over":true}\n
///
/// Batches that have no answer when the connection ends are posted again, which does no harm.
package enum BatchStream {
    package struct Batch: Sendable, Equatable {
        package var number: Int
        package var wantsAnswer: Bool
        package var frames: [ChunkFrame]

        package init(number: Int, wantsAnswer: Bool, frames: [ChunkFrame]) {
            self.number = number
            self.wantsAnswer = wantsAnswer
            self.frames = frames
        }
    }

    package struct Answer: Sendable, Equatable {
        package var number: Int
        /// Jobs that the worker no longer has.
        package var gone: [String]
        /// Nothing is read any more.
        package var isOver: Bool

        package init(number: Int, gone: [String] = [], isOver: Bool = false) {
            self.number = number
            self.gone = gone
            self.isOver = isOver
        }
    }

    /// Appends a batch.
    /// - Parameter frames: as `ChunkBatch` writes them.
    package static func append(_ number: Int, wantsAnswer: Bool, _ frames: [UInt8], to writer: inout JSONWriter) {
        writer.raw("{\"batch\":")
        writer.int(number)
        if wantsAnswer { writer.raw(",\"answer\":true") }
        writer.raw(",\"length\":")
        writer.int(frames.count)
        writer.raw("}\n")
        writer.bytes += frames
        writer.raw("\n")
    }

    package static func append(_ answer: Answer, to writer: inout JSONWriter) {
        writer.raw("{\"batch\":")
        writer.int(answer.number)
        writer.raw(",\"gone\":[")
        for (place, id) in answer.gone.enumerated() {
            if place > 0 { writer.raw(",") }
            writer.string(id)
        }
        writer.raw(answer.isOver ? "],\"over\":true}\n" : "]}\n")
    }

    /// Puts together what comes in pieces, and gives it out a line or a batch at a time.
    private struct Gathering {
        private var bytes: [UInt8] = []
        private var start = 0
        /// Bytes from `start` on that are known to hold no line feed.
        private var seen = 0

        mutating func add(_ piece: some Collection<UInt8>) {
            if start == bytes.count {
                bytes.removeAll(keepingCapacity: true)
                start = 0
            } else if start > 1 << 16 {
                bytes.removeFirst(start)
                start = 0
            }
            bytes.append(contentsOf: piece)
        }

        /// The line at `start` without its line feed; nil while there is none.
        mutating func line(limit: Int) throws(ChunkBatchError) -> ArraySlice<UInt8>? {
            guard let end = bytes[(start + seen)...].firstIndex(of: UInt8(ascii: "\n")) else {
                seen = bytes.count - start
                if seen > limit { throw ChunkBatchError(description: "a line of batches has more than \(limit) bytes") }
                return nil
            }
            seen = end - start
            return bytes[start..<end]
        }

        /// `count` bytes behind the line that ends before `end`, and a line feed; nil while there are less.
        func body(after end: Int, _ count: Int) throws(ChunkBatchError) -> ArraySlice<UInt8>? {
            guard bytes.count - end > count + 1 else { return nil }
            guard bytes[end + 1 + count] == UInt8(ascii: "\n") else { throw ChunkBatchError(description: "a batch is not \(count) bytes and a line feed") }
            return bytes[(end + 1)..<(end + 1 + count)]
        }

        mutating func pass(to end: Int) { (start, seen) = (end, 0) }

        var isEmpty: Bool { start == bytes.count }
    }

    /// Reads batches.
    package struct Reader {
        /// Bytes of a batch.
        package static let mostBytes = 256 << 20
        private var gathering = Gathering()

        package init() {}

        package mutating func add(_ piece: some Collection<UInt8>) { gathering.add(piece) }

        /// Whether what was added ends with a whole batch.
        package var isEmpty: Bool { gathering.isEmpty }

        /// The next batch; nil while it is not whole.
        package mutating func next() throws(ChunkBatchError) -> Batch? {
            guard let line = try gathering.line(limit: 1024) else { return nil }
            var number = -1
            var length = -1
            var wantsAnswer = false
            try BatchStream.read(line) { (reader: inout JSONReader, key: String) throws in
                switch key {
                case "batch": number = try reader.readInt()
                case "length": length = try reader.readInt()
                case "answer": wantsAnswer = try reader.readValue().bool ?? false
                default: try reader.skipValue()
                }
            }
            guard number >= 0, (0...Self.mostBytes).contains(length) else {
                throw ChunkBatchError(description: "batch or length is missing or out of range, of which a batch may have \(Self.mostBytes) bytes")
            }
            guard let body = try gathering.body(after: line.endIndex, length) else { return nil }
            let frames = try ChunkBatch.frames(Array(body))
            gathering.pass(to: body.endIndex + 1)
            return Batch(number: number, wantsAnswer: wantsAnswer, frames: frames)
        }
    }

    /// Reads answers.
    package struct AnswerReader {
        private var gathering = Gathering()

        package init() {}

        package mutating func add(_ piece: some Collection<UInt8>) { gathering.add(piece) }

        /// The next answer; nil while it is not whole.
        package mutating func next() throws(ChunkBatchError) -> Answer? {
            guard let line = try gathering.line(limit: 16 << 20) else { return nil }
            var answer = Answer(number: -1)
            try BatchStream.read(line) { (reader: inout JSONReader, key: String) throws in
                switch key {
                case "batch": answer.number = try reader.readInt()
                case "gone": answer.gone = try reader.readValue().array?.compactMap(\.string) ?? []
                case "over": answer.isOver = try reader.readValue().bool ?? false
                default: try reader.skipValue()
                }
            }
            gathering.pass(to: line.endIndex + 1)
            return answer
        }
    }

    private static func read(
        _ line: ArraySlice<UInt8>, _ member: (inout JSONReader, String) throws -> Void
    ) throws(ChunkBatchError) {
        do {
            try line.withUnsafeBufferPointer { bytes in
                try JSONReader.read(bytes) { (reader: inout JSONReader) throws in
                    try reader.readObject(member)
                    try reader.finish()
                }
            }
        } catch {
            throw ChunkBatchError(description: "\(error)")
        }
    }
}
