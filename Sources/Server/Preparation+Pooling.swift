internal import Engine
internal import OpenAI

/// A text ready for the engine.
struct PooledItem: Sendable {
    var ids: [Int32]
    /// First token of the second text of a pair.
    var secondSegment: Int? = nil
}

/// Inputs of embedding and classification models to ids, within the model's length.
extension Preparation {
    func items(_ inputs: [PooledInput], _ fields: PooledFields, prefix: String = "") throws(APIError) -> [PooledItem] {
        var items: [PooledItem] = []
        items.reserveCapacity(inputs.count)
        for input in inputs {
            switch input {
            case .text(let text): items.append(try item(prefix + text, fields))
            case .conversation(let conversation): items.append(try item(try render(conversation), fields))
            case .tokens(let ids): items.append(PooledItem(ids: try fit(ids, fields) { $0 }))
            }
        }
        return items
    }

    func item(_ text: String, _ fields: PooledFields) throws(APIError) -> PooledItem {
        try checkSize(text, fields)
        let whole = try model.text.encode(text, addSpecialTokens: fields.addSpecialTokens)
        let ids = try fit(whole, fields) { ids throws(APIError) in
            fields.addSpecialTokens ? try model.text.encode(text, addSpecialTokens: false) : ids
        }
        return PooledItem(ids: ids)
    }

    /// Two texts as one input, for models that compare them.
    func pair(_ first: String, _ second: String, _ fields: PooledFields) throws(APIError) -> PooledItem {
        try checkSize(first, fields)
        try checkSize(second, fields)
        let (whole, segment) = try model.text.encodePair(first, second)
        let ids = try fit(whole, fields) { _ throws(APIError) in try model.text.encode(second, addSpecialTokens: false) }
        return PooledItem(ids: ids, secondSegment: segment.flatMap { $0 < ids.count ? $0 : nil })
    }

    private func checkSize(_ text: String, _ fields: PooledFields) throws(APIError) {
        guard fields.truncatePromptTokens == nil else { return }
        // Not worth tokenizing: even if all were the longest token it would not fit.
        let most = (model.maxModelLength + 1).multipliedReportingOverflow(by: max(1, model.text.longestTokenBytes))
        guard !most.overflow, text.utf8.count > most.partialValue else { return }
        throw .invalid(
            "This model's maximum context length is \(model.maxModelLength) tokens, and the input of \(text.utf8.count) bytes cannot fit. "
                + "Please shorten it.", parameter: "input_text", value: String(text.utf8.count))
    }

    /// Cuts ids to what the request wants to keep.
    /// - Parameter inner: the part that may be cut, without the tokens that the tokenizer adds.
    private func fit(
        _ ids: [Int32], _ fields: PooledFields, inner: ([Int32]) throws(APIError) -> [Int32]
    ) throws(APIError) -> [Int32] {
        if ids.isEmpty { throw .invalid("input must not be empty: it holds no tokens", parameter: "input") }
        let limit = model.maxModelLength
        guard let wanted = fields.truncatePromptTokens else {
            if ids.count > limit { throw .inputTooLong(tokens: ids.count, maxModelLength: limit) }
            return ids
        }
        if wanted > limit {
            throw .invalid(
                "truncate_prompt_tokens must not exceed the model's maximum context length of \(limit) tokens", parameter: "truncate_prompt_tokens",
                value: String(wanted))
        }
        let keep = wanted == -1 ? limit : wanted
        guard ids.count > keep else { return ids }
        let fromLeft = fields.truncateFromLeft ?? model.text.truncatesFromLeft
        return Truncation.cut(ids, inner: try inner(ids), to: keep, fromLeft: fromLeft)
    }
}

enum Truncation {
    /// Shortens `ids` to `count` by taking tokens of `inner`, the last part of `ids` equal to it; what the tokenizer put around it stays.
    /// Where there is no such part, or it is too short, the end or the beginning goes.
    static func cut(_ ids: [Int32], inner: [Int32], to count: Int, fromLeft: Bool) -> [Int32] {
        let excess = ids.count - count
        guard excess > 0 else { return ids }
        var start = ids.count - inner.count
        while start >= 0, !ids[start...].starts(with: inner) { start -= 1 }
        guard start >= 0, inner.count >= excess else { return fromLeft ? Array(ids.suffix(count)) : Array(ids.prefix(count)) }
        let rest = fromLeft ? inner.dropFirst(excess) : inner.dropLast(excess)
        return Array(ids[..<start]) + rest + Array(ids[(start + inner.count)...])
    }
}
