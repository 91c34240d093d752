package import JSON
package import Jobs

/// What a worker posts to job-done: a result, or progress.
package enum WorkerPost: Sendable, Equatable {
    case progress(value: [UInt8])
    case result(JobOutcome, stopsWorker: Bool)

    /// Reads `{"output": …}`, `{"error": …, "output": …}`, `{}`, `{"status": "IN_PROGRESS", "output": …}`, any with `"stopPod": true`. Whatever type
    /// the post claims to be, the body is JSON.
    package init(_ body: [UInt8], maxByteCount: Int) {
        var output: [UInt8]?
        var error: JSONValue?
        var status: String?
        var stopsWorker = false
        do {
            guard String(validating: body, as: UTF8.self) != nil else { throw ClientError.bad("it is not valid UTF-8") }
            // Python writes NaN and Infinity.
            try body.withUnsafeBufferPointer { bytes in
                try JSONReader.read(bytes, options: .init(allowsNonFinite: true)) { (reader: inout JSONReader) throws in
                    guard try reader.peek() == .object else { throw ClientError.bad("it is no object") }
                    try reader.readObject { (reader: inout JSONReader, key: String) throws in
                        switch key {
                        case "output":
                            _ = try reader.peek()
                            let start = reader.offset
                            try reader.skipValue()
                            output = Array(bytes[start..<reader.offset])
                        case "error": error = try reader.readValue()
                        case "status": status = try reader.readValue().string
                        case "stopPod": stopsWorker = try reader.readValue().bool ?? false
                        default: try reader.skipValue()
                        }
                    }
                    try reader.finish()
                }
            }
            if let raw = output { output = try Self.strict(raw) }
        } catch {
            self = .result(.failed(error: "the worker posted a result that is not JSON: \(error)", output: nil), stopsWorker: false)
            return
        }
        if status == "IN_PROGRESS", error == nil {
            self = .progress(value: output ?? Array("null".utf8))
        } else if let output, output.count > maxByteCount {
            self = .result(
                .failed(
                    error: "the result has \(output.count) bytes, more than the \(maxByteCount) that are kept (maxResultBytes); have the worker upload it and "
                        + "return a link", output: nil), stopsWorker: stopsWorker)
        } else if let error, error.isTruthy {
            self = .result(.failed(error: error.string ?? error.text, output: output), stopsWorker: stopsWorker)
        } else {
            self = .result(.completed(output: output), stopsWorker: stopsWorker)
        }
    }

    /// The text as clients can read it: Python's NaN and Infinity become null.
    private static func strict(_ raw: [UInt8]) throws -> [UInt8] {
        guard raw.contains(UInt8(ascii: "N")) || raw.contains(UInt8(ascii: "I")) else { return raw }
        let isStrict = raw.withUnsafeBufferPointer { bytes in
            (try? JSONReader.read(bytes) { (reader: inout JSONReader) throws in try reader.skipValue() }) != nil
        }
        if isStrict { return raw }
        var writer = JSONWriter(capacity: raw.count)
        writer.value(try JSONValue(parsing: raw, options: .init(allowsNonFinite: true)))
        return writer.bytes
    }

    /// The chunk of a post to job-stream: `{"output": …}`. Nil where there is none.
    package static func chunk(_ body: [UInt8]) -> JobChunk? {
        guard case .result(.completed(let output?), _) = WorkerPost(body, maxByteCount: .max) else { return nil }
        if output.first == UInt8(ascii: "\""), let text = try? JSONValue(parsing: output).string {
            return JobChunk(index: 0, form: .text, body: Array(text.utf8))
        }
        return JobChunk(index: 0, form: .json, body: output)
    }
}

extension JSONValue {
    /// As Python judges it.
    package var isTruthy: Bool {
        switch self {
        case .null: false
        case .bool(let flag): flag
        case .int(let value): value != 0
        case .bigInt: true
        case .double(let value): value != 0
        case .string(let text): !text.isEmpty
        case .array(let elements): !elements.isEmpty
        case .object(let object): !object.isEmpty
        }
    }
}
