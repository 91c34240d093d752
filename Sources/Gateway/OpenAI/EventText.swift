internal import JSON
internal import Jobs

/// Makes the body of an event stream out of what a worker sends.
struct EventText {
    private(set) var bytes: [UInt8] = []
    /// The worker sends parsed chunks (RAW_OPENAI_OUTPUT off): the framing is ours, the end too.
    private var framesItself = false

    mutating func take() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }

    /// - Returns: whether the stream is over.
    mutating func add(_ item: AnswerReader.Item, _ reader: AnswerReader, _ core: GatewayCore) -> Bool {
        switch item {
        case .chunks(let chunks):
            for chunk in chunks { add(chunk) }
            return false
        case .silence:
            bytes += Array(": waiting\n\n".utf8)
            return false
        case .ended(let job, let result):
            if let failure = OpenAIRoutes.failure(job, result) {
                event { failure.write(into: &$0) }
            } else if framesItself {
                bytes += Array("data: [DONE]\n\n".utf8)
            }
            return true
        case .timedOut:
            event { reader.silenceFailure.write(into: &$0) }
            return true
        case .gone: return true
        }
    }

    mutating func add(_ chunk: JobChunk) {
        switch chunk.form {
        case .text: bytes += chunk.body
        case .json:
            framesItself = true
            guard let value = try? JSONValue(parsing: chunk.body) else { return }
            for element in value.array ?? [value] {
                if let text = element.string { bytes += Array(text.utf8) } else { event { $0.value(element) } }
            }
        }
    }

    private mutating func event(_ write: (inout JSONWriter) -> Void) {
        var writer = JSONWriter(capacity: 256)
        writer.raw("data: ")
        write(&writer)
        writer.raw("\n\n")
        bytes += writer.bytes
    }
}
