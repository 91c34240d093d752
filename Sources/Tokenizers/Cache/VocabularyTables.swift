/// What reading a byte-pair vocabulary and its merges takes long to make: look-up tables, ready to be used as they lie in a file.
struct VocabularyTables: Sendable {
    var pieces: PieceTable
    var merges: MergeTable
    /// See `WordCuts`.
    var joinedBytes: Set<UInt8>
    /// See `TokenizerParts.unreachable`.
    var unreachable: [Int32: [UInt8]]
}

/// A `tokenizer.json` without its lists, and what was made of them.
struct KeptTokenizer: Sendable {
    var skeleton: [UInt8]
    var tables: VocabularyTables

    func parts() throws(TokenizerError) -> TokenizerParts {
        try Storage.lend(skeleton) { json throws(TokenizerError) in
            var reader = try TokenizerJSONReader(json, tables: tables)
            return try reader.parts()
        }
    }
}
