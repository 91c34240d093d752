/// Token ids of one text or of a pair of texts, with what else is known of each token.
package struct Encoding: Sendable, Equatable {
    package var ids: [Int32] = []
    /// Segment number of each token: which text of a pair it belongs to, as the post-processor says.
    package var typeIDs: [Int32] = []
    /// Range of each token in UTF-8 bytes of its own text; `0..<0` for tokens that the post-processor added.
    package var offsets: [Range<Int>] = []

    package init() {}
    package var count: Int { ids.count }
}
