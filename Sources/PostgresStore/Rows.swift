internal import CPostgres

/// A statement's answer, in binary.
final class Rows {
    private let result: OpaquePointer
    let count: Int

    /// Takes ownership.
    init(_ result: OpaquePointer) {
        self.result = result
        count = Int(needletail_pq_rows(result))
    }

    deinit { needletail_pq_clear(result) }

    /// Rows that a command changed.
    var affected: Int { Int(String(cString: needletail_pq_affected(result))) ?? 0 }

    subscript(row: Int) -> Row { Row(rows: self, index: Int32(row)) }

    func map<Value>(_ read: (Row) throws -> Value) rethrows -> [Value] { try (0..<count).map { try read(self[$0]) } }
    func first<Value>(_ read: (Row) throws -> Value) rethrows -> Value? { count > 0 ? try read(self[0]) : nil }

    struct Row {
        fileprivate let rows: Rows
        fileprivate let index: Int32

        private func raw(_ column: Int) -> UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(
                start: needletail_pq_value(rows.result, index, Int32(column)), count: Int(needletail_pq_length(rows.result, index, Int32(column))))
        }

        private func isNull(_ column: Int) -> Bool { needletail_pq_is_null(rows.result, index, Int32(column)) != 0 }

        /// `bigint`, or any narrower integer.
        func int(_ column: Int) -> Int {
            let bytes = raw(column)
            guard let first = bytes.first else { return 0 }
            return bytes.dropFirst().reduce(Int(Int8(bitPattern: first))) { $0 << 8 | Int($1) }
        }

        func bool(_ column: Int) -> Bool { raw(column).first == 1 }
        func text(_ column: Int) -> String { String(decoding: raw(column), as: UTF8.self) }
        func bytes(_ column: Int) -> [UInt8] { [UInt8](raw(column)) }
        func optionalInt(_ column: Int) -> Int? { isNull(column) ? nil : int(column) }
        func optionalText(_ column: Int) -> String? { isNull(column) ? nil : text(column) }
        func optionalBytes(_ column: Int) -> [UInt8]? { isNull(column) ? nil : bytes(column) }
    }
}
