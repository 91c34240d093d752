package import JSON

/// Typed access to the members of a JSON object. An absent member and `null` are the same: nil. A wrong type throws an error that names
/// the dotted path, such as `body.stream_options.include_usage`.
package struct Fields: Sendable {
    package let object: JSONObject
    package let path: String

    package init(_ object: JSONObject, path: String) {
        self.object = object
        self.path = path
    }

    /// Reads a whole request body.
    package init(body bytes: [UInt8]) throws(APIError) {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: bytes, options: .init(maxDepth: Self.maxDepth))
        } catch let error as JSONError {
            throw .malformed("The request body is not valid JSON: \(error).", at: "body")
        } catch {
            throw .malformed("The request body is not valid JSON.", at: "body")
        }
        guard let object = value.object else { throw .malformed("body must be a JSON object, not \(value.kind)", at: "body") }
        self.init(object, path: "body")
    }

    /// Levels of nesting in a request; schemas of tools are the deepest thing in practice.
    static let maxDepth = 100

    package func path(of name: String) -> String { "\(path).\(name)" }

    /// The member, with `null` as nil.
    package subscript(name: String) -> JSONValue? {
        guard let value = object[name], !value.isNull else { return nil }
        return value
    }

    package func wrongType(_ name: String, wanted: String, found: JSONValue) -> APIError {
        let path = path(of: name)
        return .malformed("\(path) must be \(wanted), not \(found.kind)", at: path)
    }

    package func missing(_ name: String) -> APIError {
        .malformed("\(path(of: name)) is required", at: path(of: name))
    }

    private func read<Value>(_ name: String, _ wanted: String, _ convert: (JSONValue) -> Value?) throws(APIError) -> Value? {
        guard let value = self[name] else { return nil }
        guard let result = convert(value) else { throw wrongType(name, wanted: wanted, found: value) }
        return result
    }

    package func string(_ name: String) throws(APIError) -> String? { try read(name, "a string") { $0.string } }
    package func bool(_ name: String) throws(APIError) -> Bool? { try read(name, "a boolean") { $0.bool } }
    package func int(_ name: String) throws(APIError) -> Int? { try read(name, "an integer") { $0.int } }
    package func double(_ name: String) throws(APIError) -> Double? { try read(name, "a number") { $0.double } }
    package func array(_ name: String) throws(APIError) -> [JSONValue]? { try read(name, "an array") { $0.array } }

    package func fields(_ name: String) throws(APIError) -> Fields? {
        try read(name, "an object") { $0.object }.map { Fields($0, path: path(of: name)) }
    }

    /// A list of token ids. Ids below 0 or above Int32 are refused here, those outside the vocabulary by the engine.
    package func tokenIDs(_ name: String) throws(APIError) -> [Int32]? {
        guard let elements = try array(name) else { return nil }
        return try Self.tokenIDs(elements, path: path(of: name))
    }

    package static func tokenIDs(_ elements: [JSONValue], path: String) throws(APIError) -> [Int32] {
        var ids: [Int32] = []
        ids.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            guard let value = element.int else {
                throw .malformed("\(path).\(index) must be an integer, not \(element.kind)", at: "\(path).\(index)")
            }
            guard value >= 0, let id = Int32(exactly: value) else {
                throw .invalid("\(path).\(index) is no token id", parameter: "\(path).\(index)", value: String(value))
            }
            ids.append(id)
        }
        return ids
    }

    /// A string or a list of strings.
    package func strings(_ name: String) throws(APIError) -> [String]? {
        guard let value = self[name] else { return nil }
        if let single = value.string { return [single] }
        guard let elements = value.array else { throw wrongType(name, wanted: "a string or an array of strings", found: value) }
        var strings: [String] = []
        for (index, element) in elements.enumerated() {
            guard let string = element.string else {
                throw .malformed("\(path(of: name)).\(index) must be a string, not \(element.kind)", at: "\(path(of: name)).\(index)")
            }
            strings.append(string)
        }
        return strings
    }

    /// Refuses fields that are understood elsewhere but not here, when they ask for something.
    package func refuse(_ names: [String]) throws(APIError) {
        for name in names {
            guard let value = self[name], value != .bool(false) else { continue }
            throw .unsupported(name)
        }
    }
}
