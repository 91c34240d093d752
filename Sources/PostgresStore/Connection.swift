internal import CPostgres
internal import Jobs

/// A connection to the server. All calls block: for a thread of the store's own, which alone uses it.
final class Connection {
    private var handle: OpaquePointer?
    /// Names of prepared statements by their text.
    private var prepared: [String: String] = [:]
    private let url: String

    /// Connects with the first statement.
    init(_ url: String) { self.url = url }

    deinit { close() }

    func close() {
        if let handle { needletail_pq_finish(handle) }
        handle = nil
        prepared.removeAll()
    }

    var isOpen: Bool { handle != nil }
    var socket: Int32? { handle.map { needletail_pq_socket($0) } }

    func open() throws(PostgresFailure) {
        guard handle == nil else { return }
        // What stands before dbname is what the URL may overrule.
        let settings = [
            ("application_name", "needletail"), ("connect_timeout", "5"), ("keepalives_idle", "10"), ("keepalives_interval", "5"),
            ("keepalives_count", "3"), ("tcp_user_timeout", "15000"), ("dbname", url), ("client_encoding", "UTF8"),
        ]
        guard let new = withCStrings(settings.map(\.0), { keywords in withCStrings(settings.map(\.1)) { needletail_pq_connect(keywords, $0) } })
        else { throw PostgresFailure(state: "53200", message: "out of memory", isLost: true) }
        guard needletail_pq_is_ok(new) != 0 else {
            let message = String(cString: needletail_pq_error(new)).replacing("\n", with: " ").trimmed
            needletail_pq_finish(new)
            throw PostgresFailure(state: "", message: message, isLost: true)
        }
        handle = new
        try execute(
            """
            SET search_path = needletail; SET statement_timeout = '30s'; SET lock_timeout = '10s';
            SET idle_in_transaction_session_timeout = '15s'; SET bytea_output = 'hex'
            """)
    }

    /// Runs statements without parameters.
    func execute(_ sql: String) throws(PostgresFailure) {
        guard let handle else { throw PostgresFailure(state: "", message: "not connected", isLost: true) }
        _ = try check(needletail_pq_exec(handle, sql))
    }

    /// Runs one statement, prepared on its first use.
    func query(_ sql: String, _ parameters: Parameter...) throws(PostgresFailure) -> Rows { try query(sql, parameters) }

    func query(_ sql: String, _ parameters: [Parameter]) throws(PostgresFailure) -> Rows {
        guard let handle else { throw PostgresFailure(state: "", message: "not connected", isLost: true) }
        let name: String
        if let known = prepared[sql] {
            name = known
        } else {
            name = "s\(prepared.count)"
            _ = try check(needletail_pq_prepare(handle, name, sql))
            prepared[sql] = name
        }
        let buffer = ParameterBuffer(parameters)
        let lengths = buffer.spans.map { Int32(clamping: $0?.count ?? 0) }
        let formats = [Int32](repeating: 1, count: lengths.count)
        let result = buffer.bytes.withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { chars in
                // A value without bytes must have an address all the same: none is NULL.
                withUnsafePointer(to: CChar(0)) { empty in
                    let values = buffer.spans.map { span in span.map { span in span.isEmpty ? empty : chars.baseAddress.map { $0 + span.lowerBound } ?? empty } }
                    return needletail_pq_exec_prepared(handle, name, Int32(values.count), values, lengths, formats)
                }
            }
        }
        return try check(result)
    }

    /// Reads what has come in.
    /// - Returns: payloads of notifications.
    func notifications() throws(PostgresFailure) -> [String] {
        guard let handle, needletail_pq_consume(handle) != 0 else { throw PostgresFailure(state: "", message: "the connection is lost", isLost: true) }
        var payloads: [String] = []
        while let payload = needletail_pq_next_notification(handle) {
            payloads.append(String(cString: payload))
            needletail_pq_free(payload)
        }
        return payloads
    }

    private func check(_ result: OpaquePointer?) throws(PostgresFailure) -> Rows {
        if let result, needletail_pq_succeeded(result) != 0 { return Rows(result) }
        defer { if let result { needletail_pq_clear(result) } }
        let isLost = needletail_pq_is_ok(handle) == 0
        let state = needletail_pq_sqlstate(result).map { String(cString: $0) } ?? ""
        let message = needletail_pq_message(result).map { String(cString: $0) } ?? handle.map { String(cString: needletail_pq_error($0)) } ?? ""
        throw PostgresFailure(state: state, message: message.replacing("\n", with: " ").trimmed, isLost: isLost)
    }
}

/// C strings of a list, ended by NULL.
private func withCStrings<Result>(_ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result) -> Result {
    var starts: [Int] = []
    var bytes: [CChar] = []
    for text in texts {
        starts.append(bytes.count)
        bytes += text.utf8.map { CChar(bitPattern: $0) } + [0]
    }
    return bytes.withUnsafeBufferPointer { buffer in
        let pointers = starts.map { start in buffer.baseAddress.map { $0 + start } } + [nil]
        return pointers.withUnsafeBufferPointer { list in
            // Never empty: it ends with NULL.
            list.baseAddress.map(body)
        }
    } ?? body([nil])
}

extension String {
    fileprivate var trimmed: String {
        var text = self[...]
        while text.last?.isWhitespace == true { text.removeLast() }
        while text.first?.isWhitespace == true { text.removeFirst() }
        return String(text)
    }

    fileprivate func replacing(_ character: Character, with other: Character) -> String { String(map { $0 == character ? other : $0 }) }
}
