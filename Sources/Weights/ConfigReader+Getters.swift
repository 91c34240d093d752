import JSON

/// Each type has three getters: required, with a default, and optional.
extension ConfigReader {
    // MARK: Integers

    /// An integer in `range`, by default 0 to 2³¹−1.
    package func int(_ keys: String..., in range: ClosedRange<Int> = 0...0x7FFF_FFFF) throws(LoadError) -> Int {
        try required(keys, try integer(keys, range))
    }

    package func int(_ keys: String..., in range: ClosedRange<Int> = 0...0x7FFF_FFFF, default value: Int) throws(LoadError) -> Int {
        try integer(keys, range) ?? value
    }

    package func int(optional keys: String..., in range: ClosedRange<Int> = 0...0x7FFF_FFFF) throws(LoadError) -> Int? {
        try integer(keys, range)
    }

    /// A list of integers; a single integer is a list of one.
    package func ints(_ keys: String...) throws(LoadError) -> [Int] { try required(keys, try integers(keys)) }

    package func ints(optional keys: String...) throws(LoadError) -> [Int]? { try integers(keys) }

    // MARK: Numbers

    package func float(_ keys: String...) throws(LoadError) -> Float { try required(keys, try single(keys)) }

    package func float(_ keys: String..., default value: Float) throws(LoadError) -> Float { try single(keys) ?? value }

    package func float(optional keys: String...) throws(LoadError) -> Float? { try single(keys) }

    package func double(_ keys: String...) throws(LoadError) -> Double { try required(keys, try number(keys)) }

    package func double(_ keys: String..., default value: Double) throws(LoadError) -> Double { try number(keys) ?? value }

    package func double(optional keys: String...) throws(LoadError) -> Double? { try number(keys) }

    package func doubles(_ keys: String...) throws(LoadError) -> [Double] { try required(keys, try numbers(keys)) }

    package func doubles(optional keys: String...) throws(LoadError) -> [Double]? { try numbers(keys) }

    // MARK: Booleans and strings

    package func bool(_ keys: String...) throws(LoadError) -> Bool { try required(keys, try flag(keys)) }

    package func bool(_ keys: String..., default value: Bool) throws(LoadError) -> Bool { try flag(keys) ?? value }

    package func bool(optional keys: String...) throws(LoadError) -> Bool? { try flag(keys) }

    package func string(_ keys: String...) throws(LoadError) -> String { try required(keys, try text(keys)) }

    package func string(_ keys: String..., default value: String) throws(LoadError) -> String { try text(keys) ?? value }

    package func string(optional keys: String...) throws(LoadError) -> String? { try text(keys) }

    package func strings(_ keys: String...) throws(LoadError) -> [String] { try required(keys, try texts(keys)) }

    package func strings(optional keys: String...) throws(LoadError) -> [String]? { try texts(keys) }

    // MARK: Objects

    package func object(_ keys: String...) throws(LoadError) -> ConfigReader { try required(keys, try nested(keys)) }

    package func object(optional keys: String...) throws(LoadError) -> ConfigReader? { try nested(keys) }

    /// The members of this object as readers, where they are objects: `rope_parameters` by layer type.
    package var objects: [(key: String, reader: ConfigReader)] {
        guard case .json(let object) = source else { return [] }
        return object.members.compactMap { member in
            member.value.object.map { (member.key, ConfigReader($0, file: file, path: path + member.key + ".")) }
        }
    }

    // MARK: How

    private func required<Value>(_ keys: [String], _ value: Value?) throws(LoadError) -> Value {
        guard let value else {
            throw error(keys.first ?? "", keys.count > 1 ? "is missing (so is \(keys.dropFirst().joined(separator: ", ")))" : "is missing")
        }
        return value
    }

    private func wrong(_ key: String, _ value: JSONValue, _ wanted: String) -> LoadError {
        let text = value.text
        return error(key, "must be \(wanted), but is \(text.utf8.count > 80 ? "some \(value.kind)" : text)")
    }

    private func integer(_ keys: [String], _ range: ClosedRange<Int>) throws(LoadError) -> Int? {
        guard let (key, value) = first(keys) else { return nil }
        guard let int = value.int else { throw wrong(key, value, "an integer") }
        guard range ~= int else { throw wrong(key, value, "from \(range.lowerBound) to \(range.upperBound)") }
        return int
    }

    private func integers(_ keys: [String]) throws(LoadError) -> [Int]? {
        guard let (key, value) = first(keys) else { return nil }
        if let int = value.int { return [int] }
        return try elements(key, value, "a list of integers") { $0.int }
    }

    private func number(_ keys: [String]) throws(LoadError) -> Double? {
        guard let (key, value) = first(keys) else { return nil }
        guard let double = value.double, double.isFinite else { throw wrong(key, value, "a finite number") }
        return double
    }

    private func single(_ keys: [String]) throws(LoadError) -> Float? {
        guard let double = try number(keys), let (key, value) = first(keys) else { return nil }
        let float = Float(double)
        guard float.isFinite else { throw wrong(key, value, "a number that fits 32-bit floating point") }
        return float
    }

    private func numbers(_ keys: [String]) throws(LoadError) -> [Double]? {
        guard let (key, value) = first(keys) else { return nil }
        return try elements(key, value, "a list of numbers") { $0.double }
    }

    private func flag(_ keys: [String]) throws(LoadError) -> Bool? {
        guard let (key, value) = first(keys) else { return nil }
        guard let bool = value.bool else { throw wrong(key, value, "true or false") }
        return bool
    }

    private func text(_ keys: [String]) throws(LoadError) -> String? {
        guard let (key, value) = first(keys) else { return nil }
        guard let string = value.string else { throw wrong(key, value, "a string") }
        return string
    }

    private func texts(_ keys: [String]) throws(LoadError) -> [String]? {
        guard let (key, value) = first(keys) else { return nil }
        return try elements(key, value, "a list of strings") { $0.string }
    }

    private func elements<Element>(
        _ key: String, _ value: JSONValue, _ wanted: String, _ element: (JSONValue) -> Element?
    ) throws(LoadError) -> [Element] {
        guard let array = value.array else { throw wrong(key, value, wanted) }
        var result: [Element] = []
        result.reserveCapacity(array.count)
        for (index, item) in array.enumerated() {
            guard let item = element(item) else { throw wrong("\(key)[\(index)]", item, "an element of \(wanted)") }
            result.append(item)
        }
        return result
    }

    private func nested(_ keys: [String]) throws(LoadError) -> ConfigReader? {
        guard let (key, value) = first(keys) else { return nil }
        guard let object = value.object else { throw wrong(key, value, "an object") }
        return ConfigReader(object, file: file, path: path + key + ".")
    }
}
