internal import JSON
internal import WorkerProtocol

/// One partial output of a job: what is posted, and what another worker needs to go on after it.
struct Partial: Sendable {
    enum Body: Sendable {
        /// The partial output is this string: events of a stream.
        case text([UInt8])
        /// A list of objects, as their JSON texts with commas between.
        case list([UInt8])
        case native(NativePartial)
        /// Any JSON text.
        case json([UInt8])
    }

    var body: Body
    var delta: ResumeDelta

    /// Takes in the partial output that follows, where both can be one.
    mutating func merge(_ next: Partial) -> Bool {
        switch (body, next.body) {
        case (.text(var text), .text(let more)):
            body = .json([])
            text += more
            body = .text(text)
        case (.list(var list), .list(let more)):
            body = .json([])
            list.append(UInt8(ascii: ","))
            list += more
            body = .list(list)
        case (.native(var native), .native(let more)) where native.updateCount + more.updateCount <= native.mostUpdates:
            body = .json([])
            native.merge(more)
            body = .native(native)
        default: return false
        }
        delta.add(next.delta)
        return true
    }

    var byteCount: Int {
        switch body {
        case .text(let bytes), .list(let bytes), .json(let bytes): bytes.count
        case .native(let native): native.byteCount
        }
    }

    /// The partial output as JSON.
    func write(into writer: inout JSONWriter) {
        switch body {
        case .text(let bytes): writer.string(String(decoding: bytes, as: UTF8.self))
        case .list(let bytes):
            writer.raw("[")
            writer.bytes += bytes
            writer.raw("]")
        case .native(let native): native.write(into: &writer)
        case .json(let bytes): writer.bytes += bytes
        }
    }

    /// For a post of many.
    var frame: (form: ChunkFrame.Form, body: [UInt8]) {
        if case .text(let bytes) = body { return (.text, bytes) }
        var writer = JSONWriter(capacity: byteCount + 64)
        write(into: &writer)
        return (.json, writer.bytes)
    }
}

/// `{"choices":[{"tokens":["…","…"]}],"usage":{"input":12,"output":4}}`.
struct NativePartial: Sendable {
    /// By choice: texts of tokens.
    var tokens: [[[UInt8]]]
    var inputTokens: Int
    /// Over all choices, since the beginning.
    var outputTokens: Int
    /// Texts that one partial output may have, as the request wishes.
    var mostUpdates: Int

    var updateCount: Int { tokens.reduce(0) { $0 + $1.count } }
    var byteCount: Int { tokens.reduce(0) { $0 + $1.reduce(0) { $0 + $1.count + 3 } } }

    mutating func merge(_ next: NativePartial) {
        for (choice, texts) in next.tokens.enumerated() where choice < tokens.count { tokens[choice] += texts }
        outputTokens = next.outputTokens
    }

    func write(into writer: inout JSONWriter) {
        writer.raw("{\"choices\":[")
        for (choice, texts) in tokens.enumerated() {
            writer.raw(choice > 0 ? ",{\"tokens\":[" : "{\"tokens\":[")
            for (place, text) in texts.enumerated() {
                if place > 0 { writer.raw(",") }
                writer.string(String(decoding: text, as: UTF8.self))
            }
            writer.raw("]}")
        }
        writer.raw("],\"usage\":{\"input\":")
        writer.int(inputTokens)
        writer.raw(",\"output\":")
        writer.int(outputTokens)
        writer.raw("}}")
    }
}

extension ResumeDelta {
    /// What follows it.
    mutating func add(_ next: ResumeDelta) {
        while tokens.count < next.tokens.count { tokens.append([]) }
        for (choice, ids) in next.tokens.enumerated() where !ids.isEmpty { tokens[choice] += ids }
        finished += next.finished
        if created == nil { created = next.created }
        if model == nil { model = next.model }
    }
}
