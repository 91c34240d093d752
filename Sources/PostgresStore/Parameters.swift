/// A value for a statement, sent in PostgreSQL's binary format. Arrays are what makes a statement do a batch: `unnest` turns them into rows.
enum Parameter {
    case int(Int?)
    case bool(Bool)
    /// NUL becomes U+FFFD: PostgreSQL's texts cannot hold it.
    case text(String?)
    case bytes([UInt8]?)
    case ints([Int?])
    case bools([Bool])
    case texts([String?])
    case byteses([[UInt8]?])
}

/// The values of one statement, end to end in one buffer.
struct ParameterBuffer {
    private(set) var bytes: [UInt8] = []
    /// Where each value lies; nil is NULL.
    private(set) var spans: [Range<Int>?] = []

    init(_ parameters: [Parameter]) {
        for parameter in parameters { append(parameter) }
    }

    private mutating func append(_ parameter: Parameter) {
        let start = bytes.count
        switch parameter {
        case .int(nil), .text(nil), .bytes(nil):
            spans.append(nil)
            return
        case .int(let value?): put(UInt64(bitPattern: Int64(value)))
        case .bool(let value): bytes.append(value ? 1 : 0)
        case .text(let value?): put(value)
        case .bytes(let value?): bytes += value
        case .ints(let values): array(of: 20, values) { $0.put(UInt64(bitPattern: Int64($1))) }
        case .bools(let values): array(of: 16, values) { $0.bytes.append($1 ? 1 : 0) }
        case .texts(let values): array(of: 25, values) { $0.put($1) }
        case .byteses(let values): array(of: 17, values) { $0.bytes += $1 }
        }
        spans.append(start..<bytes.count)
    }

    /// Number of dimensions, whether there are NULLs, the element type's OID, count and first index; then each element with its length before it.
    private mutating func array<Element>(of type: UInt32, _ values: [Element?], _ put: (inout Self, Element) -> Void) {
        self.put(UInt32(values.isEmpty ? 0 : 1))
        self.put(UInt32(values.contains { $0 == nil } ? 1 : 0))
        self.put(type)
        guard !values.isEmpty else { return }
        self.put(UInt32(values.count))
        self.put(UInt32(1))
        for value in values {
            guard let value else {
                self.put(UInt32.max)
                continue
            }
            let place = bytes.count
            self.put(UInt32(0))
            put(&self, value)
            let count = UInt32(bytes.count - place - 4)
            for index in 0..<4 { bytes[place + index] = UInt8(truncatingIfNeeded: count >> (24 - 8 * UInt32(index))) }
        }
    }

    private mutating func put<Number: FixedWidthInteger>(_ number: Number) {
        for shift in stride(from: Number.bitWidth - 8, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: number >> Number(shift))) }
    }

    private mutating func put(_ text: String) {
        guard text.utf8.contains(0) else {
            bytes += text.utf8
            return
        }
        for byte in text.utf8 {
            if byte == 0 { bytes += [0xEF, 0xBF, 0xBD] } else { bytes.append(byte) }
        }
    }
}
