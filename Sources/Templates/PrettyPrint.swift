extension Interpreter {
    /// Python's `pprint.pformat`: one line where it fits 80 columns, dictionaries sorted by key.
    func prettyPrinted(_ value: Value) throws -> String {
        var result = ""
        try pretty(sortedKeys(value), indent: 0, allowance: 0, into: &result)
        return result
    }

    /// The value with every dictionary in key order; keys that cannot be compared keep theirs.
    private func sortedKeys(_ value: Value) throws -> Value {
        switch value {
        case .list(let box): return try list(box.items.map(sortedKeys))
        case .tuple(let box): return try tuple(box.items.map(sortedKeys))
        case .dict(let box):
            let items = (0..<box.count).map { DictView(.items, box).item($0) }
            let ordered = (try? sorted(items, reverse: false) { if case .tuple(let pair) = $0 { pair.items[0] } else { $0 } }) ?? items
            var storage = DictStorage()
            for case .tuple(let pair) in ordered { try storage.set(pair.items[0], sortedKeys(pair.items[1])) }
            return try dict(storage)
        default: return value
        }
    }

    private func pretty(_ value: Value, indent: Int, allowance: Int, into result: inout String) throws {
        let flat = try representation(of: value)
        guard flat.length > 80 - indent - allowance else {
            result += flat
            return
        }
        switch value {
        case .list(let box) where !box.items.isEmpty: try pretty(box.items, "[", "]", indent, allowance, into: &result)
        case .tuple(let box) where !box.items.isEmpty: try pretty(box.items, "(", box.items.count == 1 ? ",)" : ")", indent, allowance, into: &result)
        case .dict(let box) where box.count > 0:
            result += "{"
            for index in 0..<box.count {
                if index > 0 { result += ",\n" + String(repeating: " ", count: indent + 1) }
                let key = try representation(of: box.keys[index])
                result += key + ": "
                let isLast = index == box.count - 1
                try pretty(box.values[index], indent: indent + 1 + key.length + 2, allowance: isLast ? allowance + 1 : 1, into: &result)
            }
            result += "}"
        default: result += flat
        }
    }

    private func pretty(_ items: [Value], _ open: String, _ close: String, _ indent: Int, _ allowance: Int, into result: inout String) throws {
        result += open
        for (index, item) in items.enumerated() {
            if index > 0 { result += ",\n" + String(repeating: " ", count: indent + 1) }
            let isLast = index == items.count - 1
            try pretty(item, indent: indent + 1, allowance: isLast ? allowance + close.utf8.count : 1, into: &result)
        }
        result += close
    }
}
