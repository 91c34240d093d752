/// Bounds on one rendering. They count work, never time, so that a template either always renders or never does.
package struct TemplateLimits: Sendable {
    /// Evaluated nodes, list elements touched, and 64-byte pieces of strings copied or searched.
    package var steps = 20_000_000
    /// Bytes of the rendered text, and of any single string on the way.
    package var outputBytes = 32 << 20
    /// Bytes of all strings and lists made on the way, released or not.
    package var allocatedBytes = 1 << 30
    /// Macro calls and recursive loops inside each other.
    package var callDepth = 200
    /// Stack bytes the rendering may take below its entry; a secondary thread has 512 kB in all.
    package var stackBytes = 288 << 10
    /// Items of one `range`, as in Jinja's sandbox.
    package var rangeItems = 100_000
    /// Bits of an integer.
    package var integerBits = 1 << 16

    package init() {}

    /// Lists inside lists, also those of the context.
    static let valueDepth = 128
    /// Nodes of an expression from the root to the deepest leaf.
    static let expressionDepth = 200
    /// Parentheses, lists and calls the parser may be inside of.
    static let parserDepth = 64
    /// Statements inside each other.
    static let blockDepth = 64
    static let sourceBytes = 1 << 20
    /// Decimal digits that text and integers are converted with, Python's own bound.
    static let integerDigits = 4300
}
