internal import Engine
internal import JSON
internal import OpenAI
internal import Web

/// What answers requests, wherever they come from: the routes of the API without HTTP.
struct AnswerService: Sendable {
    let model: ServedModel
    let options: ServerOptions
    let stats: ServerStats

    func preparation(_ caller: Caller, bodyID: String? = nil) -> Preparation {
        let id = caller.hasOwnID ? caller.requestID : bodyID.flatMap { RequestIdentity.isUsable($0) ? $0 : nil } ?? caller.requestID
        return Preparation(
            model: model, options: options, requestID: id, priority: caller.priority, arrival: caller.arrival, seed: caller.seed,
            progress: caller.progress)
    }

    /// A chat or completion request, decoded and ready to run.
    func job(_ route: Route, _ bytes: [UInt8], _ caller: Caller) throws(APIError) -> GenerationJob {
        if stats.isDraining { throw .overloaded("the server is shutting down") }
        if let pooled = model.pooled {
            throw .wrongTask(route == .completions ? "the Completions API" : "the Chat Completions API", model: model.names[0], does: pooled.purpose)
        }
        if route == .chat {
            let request = try ChatRequest(body: bytes, limits: options.limits, serverStreamInterval: options.streamInterval)
            return try preparation(caller, bodyID: request.reply.requestID).job(request)
        }
        if route == .messages {
            let request = try MessagesRequest(body: bytes, limits: options.limits, serverStreamInterval: options.streamInterval).chat
            return try preparation(caller).job(request, asMessages: true)
        }
        let request = try CompletionRequest(body: bytes, limits: options.limits, serverStreamInterval: options.streamInterval)
        return try preparation(caller, bodyID: request.reply.requestID).job(request)
    }

    func run(_ job: GenerationJob) throws(APIError) -> GenerationRun {
        try GenerationRun(job, model: model, options: options, stats: stats)
    }

    // MARK: Routes that generate nothing

    func models() -> [UInt8] { Self.json { ModelCard.list(model.cards, into: &$0) } }

    /// - Parameter path: with the model's name at its end.
    func modelCard(_ path: String) throws(APIError) -> [UInt8] {
        let name = String(path.dropFirst(Route.model.rawValue.count)).percentDecoded ?? ""
        guard let card = model.cards.first(where: { $0.id == name }) else {
            throw .unknownModel(name, served: model.cards.map(\.id))
        }
        return Self.json { card.write(into: &$0) }
    }

    func tokenize(_ bytes: [UInt8], _ caller: Caller) throws(APIError) -> [UInt8] {
        let request = try TokenizeRequest(body: bytes)
        _ = try model.resolve(request.model)
        let ids: [Int32]
        switch request.input {
        case .text(let text, let addSpecialTokens): ids = try model.text.encode(text, addSpecialTokens: addSpecialTokens)
        case .conversation(let conversation):
            let text = try preparation(caller).render(conversation)
            ids = try model.text.encode(text, addSpecialTokens: conversation.addSpecialTokens)
        }
        return Self.json { writer in
            writer.raw("{\"count\":")
            writer.int(ids.count)
            writer.raw(",\"max_model_len\":")
            writer.int(model.maxModelLength)
            writer.raw(",\"tokens\":[")
            for (index, id) in ids.enumerated() {
                if index > 0 { writer.raw(",") }
                writer.int(Int(id))
            }
            writer.raw("],\"token_strs\":")
            if request.returnTokenStrings {
                writer.raw("[")
                for (index, id) in ids.enumerated() {
                    if index > 0 { writer.raw(",") }
                    writer.string(model.text.spelling(of: id) ?? "")
                }
                writer.raw("]")
            } else {
                writer.raw("null")
            }
            writer.raw("}")
        }
    }

    func detokenize(_ bytes: [UInt8]) throws(APIError) -> [UInt8] {
        let request = try DetokenizeRequest(body: bytes)
        _ = try model.resolve(request.model)
        if let bad = request.tokens.first(where: { Int($0) >= model.text.vocabularySize }) {
            throw .invalid("token id \(bad) is outside the vocabulary of \(model.text.vocabularySize)", parameter: "tokens", value: String(bad))
        }
        let text = model.text.decode(request.tokens, skipSpecialTokens: false, spacesBetweenSpecialTokens: true)
        return Self.json { writer in
            writer.raw("{\"prompt\":")
            writer.string(String(decoding: text, as: UTF8.self))
            writer.raw("}")
        }
    }

    func version() -> [UInt8] {
        Self.json { writer in
            writer.raw("{\"version\":")
            writer.string(ServerVersion.text)
            writer.raw("}")
        }
    }

    static func json(_ write: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter(capacity: 512)
        write(&writer)
        return writer.bytes
    }
}
