internal import JSON
internal import Jobs

/// The body of `/run` and `/runsync`: `{"input": …, "webhook": …, "policy": {…}, …}`.
package struct JobRequest {
    /// JSON text.
    package var input: [UInt8]
    package var webhook: String?
    /// JSON text of an object with every other member, for the worker; nil where there is none.
    package var extras: [UInt8]?
    package var executionTimeout: Int?
    package var timeToLive: Int?
    package var lowPriority = false

    package init(_ body: [UInt8]) throws(ClientError) {
        var input: [UInt8]?
        var webhook: JSONValue?
        var policy: JSONValue?
        var extras: [(key: String, start: Int, end: Int)] = []
        do {
            try body.withUnsafeBufferPointer { bytes in
                try JSONReader.read(bytes) { (reader: inout JSONReader) throws in
                    guard try reader.peek() == .object else { throw ClientError.bad("the request body must be a JSON object with a member 'input'") }
                    try reader.readObject { (reader: inout JSONReader, key: String) throws in
                        // White space before a value belongs to nobody.
                        _ = try reader.peek()
                        let start = reader.offset
                        try reader.skipValue()
                        let end = reader.offset
                        switch key {
                        case "input": input = Array(bytes[start..<end])
                        case "id": break
                        case "webhook": webhook = try JSONValue(parsing: Array(bytes[start..<end]))
                        default:
                            if key == "policy" { policy = try JSONValue(parsing: Array(bytes[start..<end])) }
                            extras.append((key, start, end))
                        }
                    }
                    try reader.finish()
                }
            }
        } catch let error as ClientError {
            throw error
        } catch {
            throw .bad("malformed JSON: \(error)")
        }
        guard let input else { throw .bad("the request has no 'input'; send {\"input\": …}") }
        // Escapes are not looked into when a value is passed over; a text that is not UTF-8 would break what is made of it.
        guard String(validating: body, as: UTF8.self) != nil else { throw .bad("malformed JSON: the body is not valid UTF-8") }
        self.input = input
        if let webhook, !webhook.isNull {
            guard let text = webhook.string else { throw .bad("'webhook' must be a URL") }
            self.webhook = text.isEmpty ? nil : text
        }
        if !extras.isEmpty || self.webhook != nil {
            var writer = JSONWriter()
            writer.raw("{")
            for (place, extra) in extras.enumerated() {
                if place > 0 { writer.raw(",") }
                writer.string(extra.key)
                writer.raw(":")
                writer.bytes.append(contentsOf: body[extra.start..<extra.end])
            }
            if let webhook = self.webhook {
                if !extras.isEmpty { writer.raw(",") }
                writer.raw("\"webhook\":")
                writer.string(webhook)
            }
            writer.raw("}")
            self.extras = writer.bytes
        }
        try readPolicy(policy)
    }

    private mutating func readPolicy(_ policy: JSONValue?) throws(ClientError) {
        guard let policy, !policy.isNull else { return }
        guard policy.object != nil else { throw .bad("'policy' must be an object") }
        executionTimeout = try Self.milliseconds(policy, "executionTimeout", 5000)
        timeToLive = try Self.milliseconds(policy, "ttl", 10_000)
        if let flag = policy["lowPriority"], !flag.isNull {
            guard let flag = flag.bool else { throw .bad("policy.lowPriority must be true or false") }
            lowPriority = flag
        }
    }

    private static func milliseconds(_ policy: JSONValue, _ key: String, _ least: Int) throws(ClientError) -> Int? {
        guard let value = policy[key], !value.isNull else { return nil }
        guard let milliseconds = value.int, (least...604_800_000).contains(milliseconds) else {
            throw .bad("policy.\(key) must be a whole number of milliseconds from \(least) to 604800000")
        }
        return milliseconds
    }
}
