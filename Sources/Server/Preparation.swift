internal import Engine
internal import OpenAI
internal import Sampling

/// Turns decoded requests into jobs: renders, tokenizes, sets token budgets. Computes for long on long prompts, so it must not run on an
/// event loop.
struct Preparation: Sendable {
    let model: ServedModel
    let options: ServerOptions
    /// Of this request, without prefix.
    let requestID: String
    let priority: Int?
    let arrival: MonotonicTime
    /// For requests that give none; nil lets the engine draw one.
    var seed: UInt64? = nil
    /// Of an earlier run of the same request.
    var progress: ReplyProgress? = nil

    func job(_ request: CompletionRequest) throws(APIError) -> GenerationJob {
        let (name, loraID) = try model.resolve(request.reply.model)
        let style = style(request.sampling, request.reply, logprobs: request.logprobs)
        var base = try sampling(request.sampling, request.reply)
        base.logprobs = request.logprobs
        let scoresEcho = request.echo && request.logprobs != nil
        if scoresEcho { base.promptLogprobs = widest(base.promptLogprobs, request.logprobs) }
        var prompts: [GenerationJob.Prompt] = []
        for source in request.prompts {
            var ids: [Int32]
            switch source {
            case .text(let text): ids = try encode(text, addSpecialTokens: request.addSpecialTokens, request.reply)
            case .tokens(let tokens): ids = tokens
            }
            let whole = ids.count
            ids = try truncate(ids, request.reply)
            if ids.isEmpty { throw .invalid("prompt must not be empty", parameter: "prompt") }
            var sampling = base
            // Equal prompts of one request are to get answers of their own.
            if request.sampling.seed == nil, let seed { sampling.seed = seed &+ UInt64(prompts.count) &* 0x9E37_79B9_7F4A_7C15 }
            sampling.maxTokens = try TokenBudget.resolve(
                requested: request.maxTokens, field: "max_tokens", defaultTokens: nil, promptTokens: ids.count,
                maxModelLength: model.maxModelLength, scoresPromptOnly: request.echo)
            var echo: [UInt8]?
            if request.echo {
                if case .text(let text) = source, whole == ids.count {
                    echo = Array(text.utf8)
                } else {
                    try checkRange(ids)
                    echo = model.text.decode(
                        ids, skipSpecialTokens: style.skipSpecialTokens, spacesBetweenSpecialTokens: style.spacesBetweenSpecialTokens)
                }
            }
            prompts.append(prompt(ids, sampling, request.reply, loraID, echo: echo))
        }
        let head = head("cmpl-", name)
        return GenerationJob(
            prompts: prompts, writer: CompletionWriter(head: head, tokensAsTokenIDs: request.reply.tokensAsTokenIDs), n: base.n,
            stream: request.reply.stream, includeUsage: request.reply.includeUsage || options.alwaysIncludesUsage, continuousUsage: request.reply.continuousUsage,
            streamInterval: request.reply.streamInterval, promptText: nil, style: style, promptLogprobs: request.sampling.promptLogprobs,
            scoresEcho: scoresEcho, created: head.created, progress: progress)
    }

    /// - Parameter asMessages: the reply is to be one of `/v1/messages`.
    func job(_ request: ChatRequest, asMessages: Bool = false) throws(APIError) -> GenerationJob {
        let (name, loraID) = try model.resolve(request.reply.model)
        let text = try render(request.conversation)
        let ids = try truncate(
            encode(text, addSpecialTokens: request.conversation.addSpecialTokens, request.reply), request.reply)
        var sampling = try sampling(request.sampling, request.reply)
        if request.logprobs { sampling.logprobs = request.topLogprobs }
        sampling.maxTokens = try TokenBudget.resolve(
            requested: request.maxTokens, field: request.maxTokensField, defaultTokens: model.defaults.maxNewTokens, promptTokens: ids.count,
            maxModelLength: model.maxModelLength, scoresPromptOnly: false)
        let style = style(request.sampling, request.reply, logprobs: request.logprobs ? request.topLogprobs : nil)
        var echo: [UInt8]?
        if request.echo, let text = request.conversation.finalAssistantText { echo = Array(text.utf8) }
        let head = head(asMessages ? "msg_" : "chatcmpl-", name)
        let writer: any ReplyWriter = asMessages ? MessagesWriter(head: head) : ChatWriter(
            head: head, role: options.responseRole, topLogprobs: style.listsRequestedIDs ? -1 : request.topLogprobs,
            tokensAsTokenIDs: request.reply.tokensAsTokenIDs)
        return GenerationJob(
            prompts: [prompt(ids, sampling, request.reply, loraID, echo: echo)], writer: writer, n: sampling.n, stream: request.reply.stream,
            includeUsage: request.reply.includeUsage || options.alwaysIncludesUsage, continuousUsage: request.reply.continuousUsage || asMessages,
            streamInterval: request.reply.streamInterval, promptText: request.returnPromptText ? text : nil, style: style,
            promptLogprobs: request.sampling.promptLogprobs, scoresEcho: false, created: head.created, progress: progress)
    }

    func render(_ conversation: Conversation) throws(APIError) -> String {
        if conversation.template != nil, !options.trustRequestChatTemplate {
            throw .invalid(
                "a chat_template in the request is only taken when the server runs with --trust-request-chat-template",
                parameter: "chat_template")
        }
        return try model.text.render(conversation)
    }

    // MARK: Parts

    private func head(_ prefix: String, _ name: String) -> ReplyHead {
        ReplyHead(id: prefix + requestID, created: progress?.created ?? WallClock.secondsSince1970, model: name, fingerprint: options.fingerprint)
    }

    private func prompt(
        _ ids: [Int32], _ sampling: SamplingParameters, _ reply: ReplyFields, _ loraID: Int32?, echo: [UInt8]?
    ) -> GenerationJob.Prompt {
        var request = EngineRequest(promptTokenIDs: ids, sampling: sampling)
        request.priority = priority ?? reply.priority
        request.cacheSalt = reply.cacheSalt
        request.loraID = loraID
        request.arrival = arrival
        return GenerationJob.Prompt(tokenIDs: ids, echo: echo, request: request)
    }

    private func sampling(_ fields: SamplingFields, _ reply: ReplyFields) throws(APIError) -> SamplingParameters {
        var sampling = fields.parameters(defaults: model.defaults)
        for word in fields.badWords {
            // With and without a leading space, as words stand at the start of a text and inside it.
            let bare = word.drop { $0 == " " }
            for spelling in [String(bare), " " + bare] {
                let ids = try model.text.encode(spelling, addSpecialTokens: false)
                if !ids.isEmpty, !sampling.badWords.contains(ids) { sampling.badWords.append(ids) }
            }
        }
        if sampling.seed == nil { sampling.seed = seed }
        return sampling
    }

    private func style(_ fields: SamplingFields, _ reply: ReplyFields, logprobs: Int?) -> ChoiceStyle {
        ChoiceStyle(
            stops: fields.stop, includeStopInOutput: fields.includeStopInOutput, minTokens: fields.minTokens,
            endTokenIDs: Set(fields.stopTokenIDs + (fields.ignoreEOS ? [] : model.defaults.eosTokenIDs)),
            clientStopTokenIDs: Set(fields.stopTokenIDs), skipSpecialTokens: reply.skipSpecialTokens,
            spacesBetweenSpecialTokens: reply.spacesBetweenSpecialTokens, returnTokenIDs: reply.returnTokenIDs, logprobs: logprobs,
            listsRequestedIDs: !fields.logprobTokenIDs.isEmpty)
    }

    private func widest(_ a: Int?, _ b: Int?) -> Int? {
        guard let a, let b else { return a ?? b }
        return a < 0 || b < 0 ? -1 : max(a, b)
    }

    func encode(_ text: String, addSpecialTokens: Bool, _ reply: ReplyFields) throws(APIError) -> [Int32] {
        if reply.truncatePromptTokens == nil {
            // Not worth tokenizing: even if all were the longest token it would not fit.
            let most = (model.maxModelLength + 1).multipliedReportingOverflow(by: max(1, model.text.longestTokenBytes))
            if !most.overflow, text.utf8.count > most.partialValue {
                throw .invalid(
                    "This model's maximum context length is \(model.maxModelLength) tokens, and the prompt of \(text.utf8.count) bytes cannot "
                        + "fit. Please shorten it.", parameter: "input_text", value: String(text.utf8.count))
            }
        }
        return try model.text.encode(text, addSpecialTokens: addSpecialTokens)
    }

    private func truncate(_ ids: [Int32], _ reply: ReplyFields) throws(APIError) -> [Int32] {
        guard let wanted = reply.truncatePromptTokens else { return ids }
        if wanted > model.maxModelLength {
            throw .invalid(
                "truncate_prompt_tokens must not exceed the model's maximum context length of \(model.maxModelLength) tokens",
                parameter: "truncate_prompt_tokens", value: String(wanted))
        }
        let keep = wanted == -1 ? model.maxModelLength - 1 : wanted
        guard ids.count > keep else { return ids }
        return reply.truncateFromLeft ?? model.text.truncatesFromLeft ? Array(ids.suffix(keep)) : Array(ids.prefix(keep))
    }

    private func checkRange(_ ids: [Int32]) throws(APIError) {
        let size = model.generator.configuration.vocabularySize ?? model.text.vocabularySize
        for (position, id) in ids.enumerated() where id < 0 || Int(id) >= size {
            throw APIError(
                .tokenOutOfRange(token: id, position: position, vocabularySize: size), answersFullQueueWith429: false)
        }
    }
}
