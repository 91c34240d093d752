package import JSON

/// What a chunk adds to what another worker must know to go on after it.
///
/// The draw of a token depends on seed and output position alone, and a job's seed is given by the request or derived from the job's id. So the
/// tokens so far are all there is to hand over: text held back, stop strings half seen and counts follow from them.
package struct ResumeDelta: Sendable, Equatable {
    /// By choice (prompt-major, as choices are numbered in the reply): ids generated since the chunk before.
    package var tokens: [[Int32]]
    /// Choices that have ended with this chunk.
    package var finished: [Int]
    /// Seconds since 1970 that the reply names as its creation; with the first chunk.
    package var created: Int?
    /// Names the model and what else the text depends on; with the first chunk.
    package var model: String?

    package init(tokens: [[Int32]], finished: [Int] = [], created: Int? = nil, model: String? = nil) {
        self.tokens = tokens
        self.finished = finished
        self.created = created
        self.model = model
    }

    package func write(into writer: inout JSONWriter) {
        writer.raw("{\"tokens\":[")
        for (choice, ids) in tokens.enumerated() {
            if choice > 0 { writer.raw(",") }
            writer.raw("[")
            for (place, id) in ids.enumerated() {
                if place > 0 { writer.raw(",") }
                writer.int(Int(id))
            }
            writer.raw("]")
        }
        writer.raw("]")
        if !finished.isEmpty {
            writer.raw(",\"finished\":[")
            for (place, choice) in finished.enumerated() {
                if place > 0 { writer.raw(",") }
                writer.int(choice)
            }
            writer.raw("]")
        }
        if let created {
            writer.raw(",\"created\":")
            writer.int(created)
        }
        if let model {
            writer.raw(",\"model\":")
            writer.string(model)
        }
        writer.raw("}")
    }

    package init?(_ json: JSONValue) {
        guard let rows = json["tokens"]?.array else { return nil }
        tokens = []
        for row in rows {
            guard let values = row.array else { return nil }
            var ids: [Int32] = []
            for value in values {
                guard let id = value.int.flatMap({ Int32(exactly: $0) }) else { return nil }
                ids.append(id)
            }
            tokens.append(ids)
        }
        finished = json["finished"]?.array?.compactMap(\.int) ?? []
        created = json["created"]?.int
        model = json["model"]?.string
    }
}

/// Where an interrupted job stands: the sum of the deltas of its chunks. Goes to the next worker as `needletail.resume` in the job.
package struct ResumeState: Sendable, Equatable {
    /// Chunks posted; the next one has this index.
    package var chunks: Int
    package var total: ResumeDelta

    package init(chunks: Int = 0, total: ResumeDelta = ResumeDelta(tokens: [])) {
        self.chunks = chunks
        self.total = total
    }

    package mutating func add(_ delta: ResumeDelta) {
        chunks += 1
        while total.tokens.count < delta.tokens.count { total.tokens.append([]) }
        for (choice, ids) in delta.tokens.enumerated() { total.tokens[choice] += ids }
        total.finished += delta.finished
        if total.created == nil { total.created = delta.created }
        if total.model == nil { total.model = delta.model }
    }

    package func write(into writer: inout JSONWriter) {
        writer.raw("{\"chunks\":")
        writer.int(chunks)
        writer.raw(",\"total\":")
        total.write(into: &writer)
        writer.raw("}")
    }

    package init?(_ json: JSONValue) {
        guard let chunks = json["chunks"]?.int, chunks >= 0, let total = json["total"].flatMap(ResumeDelta.init) else { return nil }
        self.init(chunks: chunks, total: total)
    }
}
