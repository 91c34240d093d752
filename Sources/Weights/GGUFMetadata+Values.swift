package import JSON

extension GGUFMetadata {
    /// A value as JSON, arrays included; nil where the key is absent. Large arrays of strings are better read with `strings(_:)`.
    package func json(_ key: String) -> JSONValue? { nil }

    /// An array of strings, left in the file; nil where the key is absent.
    package func strings(_ key: String) throws(LoadError) -> GGUFStrings? { nil }

    /// An array of numbers as f32; nil where the key is absent.
    package func floats(_ key: String) throws(LoadError) -> [Float]? { nil }

    /// An array of integers that fit 32 bits; nil where the key is absent.
    package func int32s(_ key: String) throws(LoadError) -> [Int32]? { nil }
}
