/// Members of a JSON object in the order of the document.
///
/// Keys are told apart by their UTF-8 bytes: Swift's `String ==` calls canonically equivalent strings equal, and vocabularies hold such
/// pairs. A repeated key keeps its first place and takes its last value, as in Python.
package struct JSONObject: Sendable {
    package private(set) var members: [(key: String, value: JSONValue)]
    /// Places of the keys, kept once there are too many to scan.
    private var places: [ByteKey: Int]?
    private static let scanLimit = 16

    package init() { members = [] }

    package init(_ pairs: some Sequence<(String, JSONValue)>) {
        self.init()
        for (key, value) in pairs { self[key] = value }
    }

    package var count: Int { members.count }
    package var isEmpty: Bool { members.isEmpty }

    /// The member of that name. Setting nil removes it.
    package subscript(key: String) -> JSONValue? {
        get { place(of: key).map { members[$0].value } }
        set {
            switch (place(of: key), newValue) {
            case (let place?, let value?): members[place].value = value
            case (let place?, nil):
                members.remove(at: place)
                if places != nil { rebuildPlaces() }
            case (nil, let value?):
                members.append((key, value))
                if places != nil {
                    places?[ByteKey(key)] = members.count - 1
                } else if members.count > Self.scanLimit {
                    rebuildPlaces()
                }
            case (nil, nil): break
            }
        }
    }

    private func place(of key: String) -> Int? {
        if let places { return places[ByteKey(key)] }
        return members.firstIndex { $0.key.hasSameBytes(as: key) }
    }

    private mutating func rebuildPlaces() {
        guard members.count > Self.scanLimit else { return places = nil }
        var fresh = [ByteKey: Int](minimumCapacity: members.count * 2)
        for (index, member) in members.enumerated() { fresh[ByteKey(member.key)] = index }
        places = fresh
    }
}

extension JSONObject: Equatable {
    /// Equal when the same keys hold equal values, in any order (as Python's dict).
    package static func == (a: JSONObject, b: JSONObject) -> Bool {
        a.count == b.count && a.members.allSatisfy { b[$0.key] == $0.value }
    }
}

/// A string that is hashed and compared by its UTF-8 bytes.
package struct ByteKey: Hashable, Sendable {
    package let string: String

    package init(_ string: String) { self.string = string }

    package static func == (a: ByteKey, b: ByteKey) -> Bool { a.string.hasSameBytes(as: b.string) }

    package func hash(into hasher: inout Hasher) {
        var copy = string
        copy.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}

extension String {
    /// Whether both strings are the same sequence of bytes (not merely canonically equivalent).
    package func hasSameBytes(as other: String) -> Bool {
        utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8)
    }
}
