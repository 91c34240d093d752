import JSON

/// What makes two dictionary keys the same key: `1`, `1.0` and `true` are one.
enum HashKey: Hashable {
    case none
    case int(Int)
    case big(Bool, [UInt32])
    case float(UInt64)
    case text(ByteKey)
    case tuple([HashKey])
    case identity(ObjectIdentifier)
}

/// Keys and values in order of first insertion.
struct DictStorage {
    private(set) var keys: [Value] = []
    private(set) var values: [Value] = []
    /// Places of the keys, once there are too many to scan.
    private var places: [HashKey: Int] = [:]
    private static let scanLimit = 8

    init() {}

    init(capacity: Int) {
        keys.reserveCapacity(capacity)
        values.reserveCapacity(capacity)
    }

    var count: Int { keys.count }

    func place(of text: String) -> Int? {
        if keys.count > Self.scanLimit { return places[.text(ByteKey(text))] }
        for index in keys.indices {
            if case .string(let key) = keys[index], key.isSame(as: text) { return index }
            if case .markup(let key) = keys[index], key.isSame(as: text) { return index }
        }
        return nil
    }

    func place(of key: Value) throws -> Int? {
        if let text = key.text { return place(of: text) }
        let wanted = try key.hashKey()
        if keys.count > Self.scanLimit { return places[wanted] }
        return try keys.firstIndex { try $0.hashKey() == wanted }
    }

    mutating func set(_ key: Value, _ value: Value) throws {
        if let place = try place(of: key) {
            values[place] = value
            return
        }
        keys.append(key)
        values.append(value)
        if keys.count == Self.scanLimit + 1 {
            for (index, key) in keys.enumerated() { places[try key.hashKey()] = index }
        } else if keys.count > Self.scanLimit {
            places[try key.hashKey()] = keys.count - 1
        }
    }
}

final class DictBox {
    let storage: DictStorage
    let depth: Int

    init(_ storage: DictStorage, depth: Int) {
        self.storage = storage
        self.depth = depth
    }

    var keys: [Value] { storage.keys }
    var values: [Value] { storage.values }
    var count: Int { storage.count }

    subscript(text: String) -> Value? { storage.place(of: text).map { storage.values[$0] } }

    func value(for key: Value) throws -> Value? { try storage.place(of: key).map { storage.values[$0] } }
}

extension Value {
    /// The key of a dictionary, or an error where Python calls the type unhashable.
    func hashKey() throws -> HashKey {
        switch self {
        case .none: return .none
        case .bool(let flag): return .int(flag ? 1 : 0)
        case .int(let number): return .int(number)
        case .big(let number): return .big(number.negative, number.limbs)
        case .float(let number):
            if let whole = Int(exactly: number) { return .int(whole) }
            if number.isFinite, number == number.rounded() {
                let big = BigInt(truncating: number)
                return .big(big.negative, big.limbs)
            }
            return .float(number.bitPattern)
        case .string(let text), .markup(let text): return .text(ByteKey(text))
        case .tuple(let box): return .tuple(try box.items.map { try $0.hashKey() })
        case .list, .dict: throw TemplateError.runtime("unhashable type: '\(typeName)'")
        case .view(let view): return .identity(ObjectIdentifier(view))
        case .range(let box): return .tuple([.int(box.start), .int(box.stop), .int(box.step)])
        case .generator(let object): return .identity(ObjectIdentifier(object))
        case .namespace(let object): return .identity(ObjectIdentifier(object))
        case .loop(let object): return .identity(ObjectIdentifier(object))
        case .macro(let object): return .identity(ObjectIdentifier(object))
        case .function(let object): return .identity(ObjectIdentifier(object))
        case .method(let object): return .identity(ObjectIdentifier(object))
        case .cycler(let object): return .identity(ObjectIdentifier(object))
        case .joiner(let object): return .identity(ObjectIdentifier(object))
        case .missing, .undefined: return .identity(ObjectIdentifier(Undefined.self))
        case .selfReference: return .identity(ObjectIdentifier(DictBox.self))
        }
    }
}
