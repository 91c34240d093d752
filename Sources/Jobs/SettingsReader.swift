package import JSON

/// Takes settings out of a JSON object one by one; what is left over is an error.
package struct SettingsReader {
    private var object: JSONObject
    private let place: String
    private var known: [String] = []

    /// - Parameter place: where the settings stand, for messages.
    package init(_ json: JSONValue, _ place: String) throws(DefinitionError) {
        guard let object = json.object else { throw DefinitionError("\(place): expected settings (an object), found \(json.kind)") }
        self.object = object
        self.place = place
    }

    /// The value of a key; nil where it is missing or null.
    package mutating func take(_ key: String) -> JSONValue? {
        known.append(key)
        guard let value = object[key] else { return .none }
        object[key] = nil
        // `nil` would be JSON's null here.
        if value.isNull { return .none }
        return value
    }

    package mutating func int(_ key: String, _ range: ClosedRange<Int>) throws(DefinitionError) -> Int? {
        guard let value = take(key) else { return nil }
        guard let number = value.int, range.contains(number) else { throw wrong(key, value, "a whole number from \(range.lowerBound) to \(range.upperBound)") }
        return number
    }

    package mutating func number(_ key: String, _ range: ClosedRange<Double>) throws(DefinitionError) -> Double? {
        guard let value = take(key) else { return nil }
        guard let number = value.double, range.contains(number) else { throw wrong(key, value, "a number from \(range.lowerBound) to \(range.upperBound)") }
        return number
    }

    package mutating func bool(_ key: String) throws(DefinitionError) -> Bool? {
        guard let value = take(key) else { return nil }
        guard let flag = value.bool else { throw wrong(key, value, "true or false") }
        return flag
    }

    package mutating func string(_ key: String) throws(DefinitionError) -> String? {
        guard let value = take(key) else { return nil }
        guard let text = value.string, !text.isEmpty else { throw wrong(key, value, "a text") }
        return text
    }

    package mutating func strings(_ key: String) throws(DefinitionError) -> [String]? {
        guard let value = take(key) else { return nil }
        var texts: [String] = []
        for element in value.array ?? [.null] {
            guard let text = element.string else { throw wrong(key, value, "a list of texts") }
            texts.append(text)
        }
        return texts
    }

    package mutating func choice<Choice: RawRepresentable & CaseIterable>(_ key: String) throws(DefinitionError) -> Choice?
    where Choice.RawValue == String {
        guard let value = take(key) else { return nil }
        guard let choice = value.string.flatMap(Choice.init(rawValue:)) else {
            throw wrong(key, value, "one of " + Choice.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return choice
    }

    package mutating func members(_ key: String) throws(DefinitionError) -> [(key: String, value: JSONValue)] {
        guard let value = take(key) else { return [] }
        guard let object = value.object else { throw wrong(key, value, "names and values") }
        return object.members
    }

    /// Names with scalar values, as texts.
    package mutating func pairs(_ key: String) throws(DefinitionError) -> [(name: String, value: String)] {
        var pairs: [(name: String, value: String)] = []
        for (name, value) in try members(key) {
            switch value {
            case .string(let text): pairs.append((name, text))
            case .int, .bigInt, .double, .bool: pairs.append((name, value.text))
            default: throw DefinitionError("\(place): '\(name)' in '\(key)' must be a text, a number or a boolean, found \(value.kind)")
            }
        }
        return pairs
    }

    /// Call last.
    package func finish() throws(DefinitionError) {
        guard let left = object.members.first else { return }
        throw DefinitionError("\(place): '\(left.key)' is no setting here; known are \(known.sorted().joined(separator: ", "))")
    }

    package func wrong(_ key: String, _ value: JSONValue, _ wanted: String) -> DefinitionError {
        DefinitionError("\(place): '\(key)' must be \(wanted), found \(String(value.text.prefix(80)))")
    }
}
