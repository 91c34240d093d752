/// How far a streamed answer had come when its run was broken off, so that another run can go on after it.
///
/// The draw of a token depends on seed and position alone; text held back, stop strings half seen and counts follow from the tokens.
package struct ReplyProgress: Sendable, Equatable {
    /// Whether anything was given out: what opens a stream is not repeated.
    package var hasBegun: Bool
    /// By choice: the ids whose text was given out, or held back for good reason.
    package var tokens: [[Int32]]
    /// Choices whose end was given out.
    package var finished: Set<Int>
    /// Seconds since 1970 that the reply named; nil where it had not yet.
    package var created: Int?

    package init(hasBegun: Bool = false, tokens: [[Int32]] = [], finished: Set<Int> = [], created: Int? = nil) {
        self.hasBegun = hasBegun
        self.tokens = tokens
        self.finished = finished
        self.created = created
    }

    func tokens(of choice: Int) -> [Int32] { choice < tokens.count ? tokens[choice] : [] }

    /// Whether something of the choice was given out.
    func hasOpened(_ choice: Int, promptCount: Int) -> Bool {
        // All choices of a single prompt open together; those of several one by one, with their first token.
        promptCount == 1 ? hasBegun : !tokens(of: choice).isEmpty || finished.contains(choice)
    }
}

/// What a piece of a reply brings besides its bytes.
package struct ReplyAdvance: Sendable, Equatable {
    /// By choice; short where only the first choices have any.
    package var tokens: [[Int32]] = []
    package var finished: [Int] = []
    /// Token by token texts, where the caller asked for them instead of events.
    package var updates: [TextUpdate] = []

    package init() {}

    mutating func add(_ ids: [Int32], to choice: Int) {
        while tokens.count <= choice { tokens.append([]) }
        tokens[choice] += ids
    }

    mutating func clear() {
        for index in tokens.indices { tokens[index].removeAll(keepingCapacity: true) }
        finished.removeAll(keepingCapacity: true)
        updates.removeAll(keepingCapacity: true)
    }
}

/// What one token adds to the text of a choice.
package struct TextUpdate: Sendable, Equatable {
    package var choice: Int
    /// Valid UTF-8; empty while text is held back.
    package var text: [UInt8]
    /// nil: text that was held back, given out at the end.
    package var token: Int32?
    /// The choice ends with it.
    package var isLast: Bool

    package init(choice: Int, text: [UInt8], token: Int32?, isLast: Bool = false) {
        self.choice = choice
        self.text = text
        self.token = token
        self.isLast = isLast
    }
}
