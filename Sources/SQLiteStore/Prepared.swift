internal import GRDB
internal import GRDBSQLite

/// A value bound to a statement.
enum Binding {
    case int(Int)
    /// NUL becomes U+FFFD: texts are the same in SQLite, PostgreSQL and C.
    case text(String)
    case blob([UInt8])
    case null

    static func int(_ value: Int?) -> Binding { value.map { .int($0) } ?? .null }
    static func text(_ value: String?) -> Binding { value.map { .text($0) } ?? .null }
    static func blob(_ value: [UInt8]?) -> Binding { value.map { .blob($0) } ?? .null }
    static func bool(_ value: Bool) -> Binding { .int(value ? 1 : 0) }
}

/// One of a connection's cached statements. GRDB prepares and keeps it; values go in and out by the C interface, bytes without a detour through
/// Foundation's `Data`. For use within one access to `db`.
struct Prepared {
    private let db: Database
    private let handle: OpaquePointer

    init(_ db: Database, _ sql: String) throws {
        self.db = db
        handle = try db.cachedStatement(sql: sql).sqliteStatement
    }

    /// - Returns: rows changed.
    @discardableResult
    func run(_ bindings: Binding...) throws -> Int {
        try each(bindings) { _ in }
        return db.changesCount
    }

    func first<Value>(_ bindings: Binding..., read: (Columns) throws -> Value) throws -> Value? {
        var value: Value?
        try each(bindings) { if value == nil { value = try read($0) } }
        return value
    }

    func all<Value>(_ bindings: Binding..., read: (Columns) throws -> Value) throws -> [Value] {
        var values: [Value] = []
        try each(bindings) { values.append(try read($0)) }
        return values
    }

    func each(_ bindings: [Binding], _ body: (Columns) throws -> Void) throws {
        defer {
            sqlite3_reset(handle)
            sqlite3_clear_bindings(handle)
        }
        for (index, binding) in bindings.enumerated() {
            let status = bind(binding, at: CInt(index + 1))
            guard status == SQLITE_OK else { throw failure(status) }
        }
        while true {
            switch sqlite3_step(handle) {
            case SQLITE_ROW: try body(Columns(handle: handle))
            case SQLITE_DONE: return
            case let status: throw failure(status)
            }
        }
    }

    private func bind(_ binding: Binding, at index: CInt) -> CInt {
        // SQLITE_TRANSIENT: SQLite copies.
        let transient = unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        switch binding {
        case .int(let value): return sqlite3_bind_int64(handle, index, Int64(value))
        case .null: return sqlite3_bind_null(handle, index)
        case .blob(let bytes):
            guard !bytes.isEmpty else { return sqlite3_bind_zeroblob(handle, index, 0) }
            return bytes.withUnsafeBytes { sqlite3_bind_blob64(handle, index, $0.baseAddress, UInt64($0.count), transient) }
        case .text(let text):
            var text = text.utf8.contains(0) ? String(text.unicodeScalars.map { $0 == "\0" ? "\u{FFFD}" : Character($0) }) : text
            return text.withUTF8 { bytes in
                bytes.withMemoryRebound(to: CChar.self) { chars in
                    // An empty text has no address; it is not NULL.
                    guard let start = chars.baseAddress else { return sqlite3_bind_text(handle, index, "", 0, transient) }
                    return sqlite3_bind_text64(handle, index, start, UInt64(chars.count), transient, UInt8(SQLITE_UTF8))
                }
            }
        }
    }

    private func failure(_ status: CInt) -> DatabaseError {
        DatabaseError(
            resultCode: ResultCode(rawValue: status), message: db.sqliteConnection.map { String(cString: sqlite3_errmsg($0)) },
            sql: String(cString: sqlite3_sql(handle)))
    }
}

/// The columns of the row that a statement stands on.
struct Columns {
    fileprivate let handle: OpaquePointer

    private func isNull(_ index: Int) -> Bool { sqlite3_column_type(handle, CInt(index)) == SQLITE_NULL }

    func int(_ index: Int) -> Int { Int(sqlite3_column_int64(handle, CInt(index))) }
    func bool(_ index: Int) -> Bool { int(index) != 0 }
    func optionalInt(_ index: Int) -> Int? { isNull(index) ? nil : int(index) }

    func text(_ index: Int) -> String {
        // The length is valid only after the text was asked for.
        guard let start = sqlite3_column_text(handle, CInt(index)) else { return "" }
        return String(decoding: UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, CInt(index)))), as: UTF8.self)
    }

    func optionalText(_ index: Int) -> String? { isNull(index) ? nil : text(index) }

    func bytes(_ index: Int) -> [UInt8] {
        guard let start = sqlite3_column_blob(handle, CInt(index)) else { return [] }
        return [UInt8](UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, CInt(index)))))
    }

    func optionalBytes(_ index: Int) -> [UInt8]? { isNull(index) ? nil : bytes(index) }
}
