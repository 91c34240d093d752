package import JSON

extension JSONWriter {
    mutating func raw(_ text: [UInt8]) { bytes.append(contentsOf: text) }

    /// Appends valid UTF-8 with JSON's escapes, without quotes.
    package mutating func escaped(_ text: [UInt8]) {
        text.withUnsafeBufferPointer { text in
            var plain = 0
            for index in text.indices where text[index] < 0x20 || text[index] == UInt8(ascii: "\"") || text[index] == UInt8(ascii: "\\") {
                bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[plain..<index]))
                plain = index + 1
                switch text[index] {
                case UInt8(ascii: "\""): raw("\\\"")
                case UInt8(ascii: "\\"): raw("\\\\")
                case 0x0A: raw("\\n")
                case 0x0D: raw("\\r")
                case 0x09: raw("\\t")
                case let control:
                    raw("\\u00")
                    bytes.append(UInt8(ascii: "0") + control >> 4)
                    bytes.append(control & 15 < 10 ? UInt8(ascii: "0") + control & 15 : UInt8(ascii: "a") + control & 15 - 10)
                }
            }
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[plain...]))
        }
    }

    mutating func quoted(_ text: [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        escaped(text)
        bytes.append(UInt8(ascii: "\""))
    }

    mutating func optional(_ text: String?) {
        if let text { string(text) } else { raw("null") }
    }

    mutating func ids(_ ids: [Int32]?) {
        guard let ids else { return raw("null") }
        raw("[")
        for (index, id) in ids.enumerated() {
            if index > 0 { raw(",") }
            int(Int(id))
        }
        raw("]")
    }

    /// JSON has no infinity: -9999 stands for a log-probability of minus infinity, as in vLLM.
    mutating func logprob(_ value: Float) { value.isFinite ? float(max(value, -9999)) : raw("-9999.0") }

    mutating func usage(_ usage: Usage) {
        raw("{\"prompt_tokens\":")
        int(usage.promptTokens)
        raw(",\"total_tokens\":")
        int(usage.promptTokens + usage.completionTokens)
        raw(",\"completion_tokens\":")
        int(usage.completionTokens)
        raw(",\"prompt_tokens_details\":")
        if let cached = usage.cachedTokens {
            raw("{\"cached_tokens\":")
            int(cached)
            raw("}")
        } else {
            raw("null")
        }
        raw("}")
    }

    /// `"finish_reason":…,"stop_reason":…` of a choice that has ended.
    mutating func end(_ end: ChoiceEnd) {
        raw("\"finish_reason\":")
        string(end.reason)
        raw(",\"stop_reason\":")
        switch end.cause {
        case .stopString(let text)?: string(text)
        case .stopToken(let id)?: int(Int(id))
        case nil: raw("null")
        }
    }

    /// Completions' four parallel lists.
    mutating func completionLogprobs(_ tokens: [ScoredToken]?, asIDs: Bool) {
        guard let tokens else { return raw("null") }
        raw("{\"text_offset\":[")
        for (index, token) in tokens.enumerated() {
            if index > 0 { raw(",") }
            int(token.textOffset)
        }
        raw("],\"token_logprobs\":[")
        for (index, token) in tokens.enumerated() {
            if index > 0 { raw(",") }
            if let value = token.logprob { logprob(value) } else { raw("null") }
        }
        raw("],\"tokens\":[")
        for (index, token) in tokens.enumerated() {
            if index > 0 { raw(",") }
            tokenText(token.text, token.id, asIDs)
        }
        raw("],\"top_logprobs\":[")
        for (index, token) in tokens.enumerated() {
            if index > 0 { raw(",") }
            if token.logprob == nil {
                raw("null")
                continue
            }
            raw("{")
            for (place, candidate) in token.candidates.enumerated() {
                if place > 0 { raw(",") }
                tokenText(candidate.text, candidate.id, asIDs)
                raw(":")
                logprob(candidate.logprob)
            }
            raw("}")
        }
        raw("]}")
    }

    /// Chat's list of objects. `top` alternatives each, of which the token itself is the first.
    mutating func chatLogprobs(_ tokens: [ScoredToken]?, top: Int, asIDs: Bool) {
        guard let tokens else { return raw("null") }
        raw("{\"content\":[")
        for (index, token) in tokens.enumerated() {
            if index > 0 { raw(",") }
            chatToken(token.text, token.id, token.logprob ?? 0, asIDs)
            raw(",\"top_logprobs\":[")
            for (place, candidate) in (top < 0 ? token.candidates[...] : token.candidates.prefix(top)).enumerated() {
                if place > 0 { raw(",") }
                chatToken(candidate.text, candidate.id, candidate.logprob, asIDs)
                raw("}")
            }
            raw("]}")
        }
        raw("]}")
    }

    /// Leaves the object open.
    private mutating func chatToken(_ text: [UInt8], _ id: Int32, _ value: Float, _ asIDs: Bool) {
        raw("{\"token\":")
        tokenText(text, id, asIDs)
        raw(",\"logprob\":")
        logprob(value)
        raw(",\"bytes\":[")
        var first = true
        for byte in asIDs ? Array("token_id:\(id)".utf8) : text {
            if !first { raw(",") }
            first = false
            int(Int(byte))
        }
        raw("]")
    }

    private mutating func tokenText(_ text: [UInt8], _ id: Int32, _ asIDs: Bool) {
        if asIDs {
            raw("\"token_id:")
            int(Int(id))
            raw("\"")
        } else {
            lossy(text)
        }
    }

    /// A quoted string; parts of characters become U+FFFD.
    private mutating func lossy(_ text: [UInt8]) { string(String(decoding: text, as: UTF8.self)) }

    /// vLLM's `prompt_logprobs`: null first, then `{"<id>":{"logprob","rank","decoded_token"}}`.
    mutating func promptLogprobs(_ tokens: [ScoredToken]?) {
        guard let tokens else { return raw("null") }
        raw("[")
        for (index, token) in tokens.enumerated() {
            if index > 0 { raw(",") }
            if token.logprob == nil {
                raw("null")
                continue
            }
            raw("{")
            for (place, candidate) in token.candidates.enumerated() {
                if place > 0 { raw(",") }
                raw("\"")
                int(Int(candidate.id))
                raw("\":{\"logprob\":")
                logprob(candidate.logprob)
                raw(",\"rank\":")
                int(Int(candidate.rank))
                raw(",\"decoded_token\":")
                lossy(candidate.text)
                raw("}")
            }
            raw("}")
        }
        raw("]")
    }
}
