package import OpenAI

/// The text side of a model: tokenizer and chat template behind the few verbs the server needs.
package protocol TextModel: Sendable {
    func encode(_ text: String, addSpecialTokens: Bool) throws(APIError) -> [Int32]
    /// Two texts as one input of a classifier, with the tokenizer's own tokens around them.
    /// - Returns: ids, and the first token of the second segment; nil where the tokenizer does not tell the two apart.
    func encodePair(_ first: String, _ second: String) throws(APIError) -> (ids: [Int32], secondSegment: Int?)
    /// A whole sequence at once.
    func decode(_ ids: [Int32], skipSpecialTokens: Bool, spacesBetweenSpecialTokens: Bool) -> [UInt8]
    /// The text of one token alone, leading space kept; may be part of a character. Empty for ids that mean nothing.
    func text(of id: Int32) -> [UInt8]
    /// The vocabulary's spelling of a token (`Ġthe`); nil for ids outside it.
    func spelling(of id: Int32) -> String?
    /// The prompt of a conversation. Checks that a template exists.
    func render(_ conversation: Conversation) throws(APIError) -> String
    /// Continues after `prompt`, whose last tokens may matter for the first space.
    func makeDetokenizer(after prompt: [Int32], skipSpecialTokens: Bool, spacesBetweenSpecialTokens: Bool) -> any Detokenizer

    /// Ids below it have a meaning.
    var vocabularySize: Int { get }
    /// Bytes of the longest token: texts that cannot fit are refused before they are encoded.
    var longestTokenBytes: Int { get }
    /// Where `truncate_prompt_tokens` cuts if the request does not say.
    var truncatesFromLeft: Bool { get }
}

/// Token by token text of one choice. Holds back the bytes of a character until it is whole.
package protocol Detokenizer: Sendable {
    /// Appends what the token adds to the text, valid UTF-8.
    mutating func append(_ id: Int32, to text: inout [UInt8])
    /// Appends what was held back.
    mutating func finish(into text: inout [UInt8])
}

/// Adapters and the base model, by name.
package struct ServedModel: Sendable {
    /// The first is the one replies name.
    package var names: [String]
    /// Where the checkpoint came from.
    package var root: String
    package var adapters: AdapterShelf
    package var maxModelLength: Int
    package var defaults: GenerationDefaults
    package var text: any TextModel
    package var generator: any Generator
    /// nil for a model that generates text.
    package var pooled: PooledModel?
    /// Seconds since 1970.
    package var created: Int

    package init(
        names: [String], root: String, maxModelLength: Int, defaults: GenerationDefaults, text: any TextModel, generator: any Generator,
        adapterLoader: (any AdapterLoader)? = nil
    ) {
        self.names = names.isEmpty ? [root] : names
        adapters = AdapterShelf(loader: adapterLoader, modelNames: self.names)
        self.root = root
        self.maxModelLength = maxModelLength
        self.defaults = defaults
        self.text = text
        self.generator = generator
        created = WallClock.secondsSince1970
    }

    var cards: [ModelCard] {
        names.map { ModelCard(id: $0, created: created, root: root, maxModelLength: maxModelLength) }
            + adapters.adapters.map {
                ModelCard(id: $0.name, created: created, root: $0.path, parent: $0.baseName ?? names.first, maxModelLength: nil)
            }
    }

    /// The name that replies carry and the adapter to use.
    func resolve(_ name: String?) throws(APIError) -> (name: String, loraID: Int32?) {
        guard let name, !names.contains(name) else { return (names[0], nil) }
        if let adapter = adapters.find(name) { return (adapter.name, adapter.loraID) }
        throw .unknownModel(name, served: names + adapters.adapters.map(\.name))
    }
}
