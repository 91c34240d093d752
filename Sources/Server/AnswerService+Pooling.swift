internal import Engine
internal import JSON
internal import OpenAI
internal import Step
internal import Web

/// Embeddings, classes, scores and rankings.
extension AnswerService {
    /// - Returns: the reply's JSON.
    func pool(_ route: Route, _ bytes: [UInt8], _ caller: Caller) async throws(APIError) -> [UInt8] {
        if stats.isDraining { throw .overloaded("the server is shutting down") }
        switch route {
        case .embeddings: return try await embeddings(caller, try EmbeddingRequest(body: bytes))
        case .classify: return try await classify(caller, try ClassifyRequest(body: bytes))
        case .pooling: return try await pooling(caller, try PoolRequest(body: bytes))
        case .score, .scoreV1: return try await score(caller, try ScoreRequest(body: bytes))
        default: return try await rerank(caller, try RerankRequest(body: bytes))
        }
    }

    private func embeddings(_ caller: Caller, _ request: EmbeddingRequest) async throws(APIError) -> [UInt8] {
        let job = try PooledJob(self, caller, request.fields, "embd-", "the Embeddings API") { !$0.isClassifier }
        var prefix = ""
        if let name = request.promptName {
            guard let text = job.pooled.prompts[name] else {
                let known = job.pooled.prompts.keys.sorted().joined(separator: ", ")
                throw .invalid("this model has \(known.isEmpty ? "no prompts" : "the prompts \(known)")", parameter: "prompt_name", value: name)
            }
            prefix = text
        }
        let width = try job.width(request.dimensions)
        let items = try job.preparation.items(request.inputs, request.fields, prefix: prefix)
        var rows = try await job.rows(.sequence, items)
        for index in rows.indices { job.finish(&rows[index], width) }
        return job.reply(items) { $0.embeddings(rows, asBase64: request.fields.asBase64, into: &$1) }
    }

    private func classify(_ caller: Caller, _ request: ClassifyRequest) async throws(APIError) -> [UInt8] {
        let job = try PooledJob(self, caller, request.fields, "classify-", "the Classification API") { $0.isClassifier }
        let items = try job.preparation.items(request.inputs, request.fields)
        var rows = try await job.rows(.sequence, items)
        for index in rows.indices { job.finish(&rows[index]) }
        return job.reply(items) { $0.classes(rows, labels: job.pooled.labels, into: &$1) }
    }

    private func pooling(_ caller: Caller, _ request: PoolRequest) async throws(APIError) -> [UInt8] {
        let job = try PooledJob(self, caller, request.fields, "pool-", "the Pooling API") { _ in true }
        let task = request.task ?? (job.pooled.isClassifier ? .tokenClassify : .tokenEmbed)
        guard task.isClassification == job.pooled.isClassifier else {
            throw .invalid("this model \(job.pooled.purpose)", parameter: "task", value: task.rawValue)
        }
        let width = try job.width(request.dimensions)
        let items = try job.preparation.items(request.inputs, request.fields)
        let values = try await job.rows(task.isTokenwise ? .tokens : .sequence, items)
        let rows = values.map { values in
            stride(from: 0, to: values.count, by: job.pooled.output.width).map { start in
                var row = Array(values[start..<start + job.pooled.output.width])
                job.finish(&row, width)
                return row
            }
        }
        return job.reply(items) { $0.pooling(rows, isTokenwise: task.isTokenwise, asBase64: request.fields.asBase64, into: &$1) }
    }

    private func score(_ caller: Caller, _ request: ScoreRequest) async throws(APIError) -> [UInt8] {
        let job = try PooledJob(self, caller, request.fields, "score-", "the Score API", Self.canScore)
        let (scores, items) = try await job.scores(request.queries, request.documents)
        return job.reply(items) { $0.scores(scores, into: &$1) }
    }

    private func rerank(_ caller: Caller, _ request: RerankRequest) async throws(APIError) -> [UInt8] {
        let job = try PooledJob(self, caller, request.fields, "rerank-", "the Rerank API", Self.canScore)
        let (scores, items) = try await job.scores([request.query], request.documents)
        // Equal scores stay in the order of the request.
        let order = scores.indices.sorted { scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1 }
        let best = order.prefix(request.count).map { (index: $0, score: scores[$0]) }
        return job.reply(items) { $0.ranking(best, documents: request.documents, into: &$1) }
    }

    /// A classifier of one class compares pairs; embeddings are compared with each other.
    private static func canScore(_ pooled: PooledModel) -> Bool { pooled.labels.count <= 1 }
}

/// What the five routes share.
private struct PooledJob {
    let pooled: PooledModel
    let preparation: Preparation
    private let service: AnswerService
    private let caller: Caller
    private let fields: PooledFields
    private let name: String
    private let loraID: Int32?
    private let id: String

    /// - Parameter isFit: whether a pooling model can answer the route.
    init(
        _ service: AnswerService, _ caller: Caller, _ fields: PooledFields, _ prefix: String, _ route: String, _ isFit: (PooledModel) -> Bool
    ) throws(APIError) {
        (name, loraID) = try service.model.resolve(fields.model)
        guard let pooled = service.model.pooled else { throw .wrongTask(route, model: name, does: "generates text") }
        guard isFit(pooled) else { throw .wrongTask(route, model: name, does: pooled.purpose) }
        self.pooled = pooled
        self.service = service
        self.caller = caller
        self.fields = fields
        preparation = service.preparation(caller, bodyID: fields.requestID)
        id = prefix + preparation.requestID
    }

    /// Runs texts in the engine; the client's going away cancels them.
    func rows(_ pooling: PoolingRequest, _ items: [PooledItem]) async throws(APIError) -> [[Float]] {
        let watch = await caller.watch()
        let run = PooledRun(service.model, pooling, fields, loraID: loraID, priority: preparation.priority, service.options)
        let ticket = ServerStats.LoadTicket(service.stats)
        defer {
            watch.clear()
            withExtendedLifetime(ticket) {}
        }
        watch.onClose { [stats = service.stats] in
            stats.clientDisconnected()
            run.cancel()
        }
        return try await run.rows(items)
    }

    /// Columns to keep of an embedding.
    func width(_ dimensions: Int?) throws(APIError) -> Int {
        guard let dimensions else { return pooled.output.width }
        guard let widths = pooled.matryoshkaWidths, !pooled.isClassifier else {
            throw .invalid(
                "Model \"\(name)\" does not support matryoshka representation, changing output dimensions will lead to poor results.",
                parameter: "dimensions", value: String(dimensions))
        }
        if !widths.isEmpty, !widths.contains(dimensions) {
            throw .invalid(
                "Model \"\(name)\" only supports \(widths) matryoshka dimensions, use other output dimensions will lead to poor results.",
                parameter: "dimensions", value: String(dimensions))
        }
        guard dimensions <= pooled.output.width else {
            throw .invalid("the model's embeddings have \(pooled.output.width) dimensions", parameter: "dimensions", value: String(dimensions))
        }
        return dimensions
    }

    /// Cuts a row and applies the model's last function, unless the request wants it raw.
    func finish(_ row: inout [Float], _ width: Int = .max) {
        if row.count > width { row.removeLast(row.count - width) }
        if fields.useActivation != false { pooled.output.activation.apply(to: &row) }
    }

    /// Scores of pairs, and what was computed for them.
    /// - Parameter queries: one for all documents, or as many as those.
    func scores(_ queries: [String], _ documents: [String]) async throws(APIError) -> (scores: [Float], items: [PooledItem]) {
        var items: [PooledItem] = []
        if pooled.isClassifier {
            for (index, document) in documents.enumerated() {
                items.append(try preparation.pair(queries[queries.count == 1 ? 0 : index], document, fields))
            }
            var rows = try await rows(.sequence, items)
            for index in rows.indices { finish(&rows[index]) }
            return (rows.map { $0.first ?? 0 }, items)
        }
        for text in queries + documents { items.append(try preparation.item(text, fields)) }
        var rows = try await rows(.sequence, items)
        for index in rows.indices { PooledActivation.normalize.apply(to: &rows[index]) }
        let scores = documents.indices.map { index in
            let dot = zip(rows[queries.count == 1 ? 0 : index], rows[queries.count + index]).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
            return Float(dot)
        }
        return (scores, items)
    }

    func reply(_ items: [PooledItem], _ write: (PooledWriter, inout JSONWriter) -> Void) -> [UInt8] {
        let pooledWriter = PooledWriter(
            id: id, model: name, created: WallClock.secondsSince1970, promptTokens: items.reduce(0) { $0 + $1.ids.count })
        return AnswerService.json { write(pooledWriter, &$0) }
    }
}
