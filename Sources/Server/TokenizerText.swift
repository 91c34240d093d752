package import OpenAI
package import Templates
package import Tokenizers

/// A tokenizer and a chat template as the server's text side.
package struct TokenizerText: TextModel {
    private let tokenizer: Tokenizer
    private let template: ChatTemplate?
    private let developerAsSystem: Bool
    private let specialTokens: SpecialTokens
    package let truncatesFromLeft: Bool
    package let longestTokenBytes: Int

    /// The tokens that templates name.
    package struct SpecialTokens: Sendable {
        package var bos: String?
        package var eos: String?
        package var unknown: String?
        package var padding: String?

        package init(bos: String? = nil, eos: String? = nil, unknown: String? = nil, padding: String? = nil) {
            self.bos = bos
            self.eos = eos
            self.unknown = unknown
            self.padding = padding
        }
    }

    /// - Parameter chatTemplate: its source; nil where the model has none, so that chat requests are refused.
    package init(
        tokenizer: Tokenizer, chatTemplate: String?, specialTokens: SpecialTokens, truncatesFromLeft: Bool = false
    ) throws(TemplateError) {
        self.tokenizer = tokenizer
        self.specialTokens = specialTokens
        self.truncatesFromLeft = truncatesFromLeft
        if let chatTemplate { template = try ChatTemplate(chatTemplate) } else { template = nil }
        developerAsSystem = chatTemplate?.contains("developer") != true
        var longest = 1
        for id in 0..<Int32(clamping: tokenizer.vocabularySize) { longest = max(longest, tokenizer.bytes(of: id).count) }
        longestTokenBytes = longest
    }

    package var vocabularySize: Int { tokenizer.vocabularySize }

    package func encode(_ text: String, addSpecialTokens: Bool) throws(APIError) -> [Int32] {
        do {
            return try tokenizer.encode(text, addSpecialTokens: addSpecialTokens)
        } catch {
            throw .invalid("the text cannot be tokenized: \(error)", parameter: nil)
        }
    }

    package func encodePair(_ first: String, _ second: String) throws(APIError) -> (ids: [Int32], secondSegment: Int?) {
        do {
            let encoding = try tokenizer.encodePair(first, second, addSpecialTokens: true)
            return (encoding.ids, encoding.typeIDs.firstIndex(of: 1))
        } catch {
            throw .invalid("the texts cannot be tokenized: \(error)", parameter: nil)
        }
    }

    package func decode(_ ids: [Int32], skipSpecialTokens: Bool, spacesBetweenSpecialTokens: Bool) -> [UInt8] {
        Array(tokenizer.decode(ids, skipSpecialTokens: skipSpecialTokens).utf8)
    }

    package func text(of id: Int32) -> [UInt8] { tokenizer.bytes(of: id) }
    package func spelling(of id: Int32) -> String? { tokenizer.token(of: id) }

    package func makeDetokenizer(after prompt: [Int32], skipSpecialTokens: Bool, spacesBetweenSpecialTokens: Bool) -> any Detokenizer {
        TokenizerDetokenizer(base: tokenizer.makeDetokenizer(prefix: prompt, skipSpecialTokens: skipSpecialTokens))
    }

    // MARK: Chat

    /// Transformers' way to leave the last turn open: a mark behind its text, cut off with all that the template put after it.
    private static let openEnd = "CONTINUE_FINAL_MESSAGE_TAG "

    package func render(_ conversation: Conversation) throws(APIError) -> String {
        let template: ChatTemplate
        let developerAsSystem: Bool
        if let own = conversation.template {
            do { template = try ChatTemplate(own) } catch { throw .invalid(error.description, parameter: "chat_template") }
            developerAsSystem = !own.contains("developer")
        } else if let model = self.template {
            template = model
            developerAsSystem = self.developerAsSystem
        } else {
            throw .invalid("this model has no chat template; use /v1/completions, or start the server with --chat-template", parameter: nil)
        }
        let messages = conversation.messages(
            content: template.traits.contentFormat == .parts ? .parts : .string, developerAsSystem: developerAsSystem,
            suffix: conversation.continueFinalMessage ? Self.openEnd : "")
        let text: String
        do {
            text = try template.render(
                messages: messages, tools: conversation.tools, documents: conversation.documents,
                addGenerationPrompt: conversation.addGenerationPrompt, bosToken: specialTokens.bos, eosToken: specialTokens.eos,
                unkToken: specialTokens.unknown, padToken: specialTokens.padding, extra: conversation.templateVariables)
        } catch {
            throw .invalid(error.description, parameter: "messages")
        }
        return conversation.continueFinalMessage ? try Self.cut(text) : text
    }

    private static func cut(_ text: String) throws(APIError) -> String {
        let bytes = Array(text.utf8)
        let mark = Array(openEnd.utf8.dropLast())
        var start = bytes.count - mark.count
        while start >= 0, !bytes[start...].starts(with: mark) { start -= 1 }
        guard start >= 0 else {
            throw .invalid(
                "continue_final_message is set, but the chat template does not show the last message", parameter: "continue_final_message")
        }
        var head = bytes[..<start]
        // The template stripped the text: what stood before the mark's space goes too.
        if !(start + mark.count < bytes.count && bytes[start + mark.count] == 0x20) {
            while let last = head.last, last == 0x20 || (0x09...0x0D).contains(last) { head.removeLast() }
        }
        return String(decoding: head, as: UTF8.self)
    }
}

private struct TokenizerDetokenizer: Detokenizer {
    var base: IncrementalDetokenizer

    mutating func append(_ id: Int32, to text: inout [UInt8]) { text.append(contentsOf: base.append(id).utf8) }
    mutating func finish(into text: inout [UInt8]) { text.append(contentsOf: base.finish().utf8) }
}
