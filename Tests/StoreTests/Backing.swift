import CPostgres
import Glibc
import Jobs
import PostgresStore
import SQLiteStore
import TemporaryPath
import Testing

/// What a store of the suite stands on. Each test has a fresh file or database of its own.
enum Backing: String, CaseIterable, CustomTestStringConvertible {
    case sqlite, postgres

    /// SQLite always; PostgreSQL where `NEEDLETAIL_TEST_POSTGRES` names a server (`Scripts/with-postgres.sh`).
    static var all: [Backing] { server == nil ? [.sqlite] : allCases }
    static let server = Child.variable("NEEDLETAIL_TEST_POSTGRES")

    var testDescription: String { rawValue }

    /// Opens a store on a fresh place, runs `body`, removes the place.
    func withStore(_ body: (any JobStore) async throws -> Void) async throws {
        try await withPlace { place in
            let store = try await open(place)
            do { try await body(store) } catch {
                await store.close()
                throw error
            }
            await store.close()
        }
    }

    func open(_ place: String) async throws -> any JobStore {
        switch self {
        case .sqlite: try SQLiteStore(path: place)
        case .postgres: try await PostgresStore(url: place)
        }
    }

    /// A path or URL of a place that is there while `body` runs.
    func withPlace(_ body: (String) async throws -> Void) async throws {
        switch self {
        case .sqlite:
            try await withFolder { folder in try await body(folder + "/jobs.sqlite") }
        case .postgres:
            let name = "t" + UUIDText.random().filter { $0 != "-" }
            let server = Self.server ?? ""
            try await Server.run("CREATE DATABASE \(name)", server)
            let outcome: Result<Void, any Error>
            do { outcome = .success(try await body(server + (server.contains("?") ? "&" : "?") + "dbname=\(name)")) } catch { outcome = .failure(error) }
            try await Server.run("DROP DATABASE \(name) WITH (FORCE)", server)
            try outcome.get()
        }
    }
}

func withFolder<Value>(_ body: (String) async throws -> Value) async throws -> Value {
    guard let folder = temporaryFolder("needletail-store") else { throw StoreError.broken("no folder could be made") }
    defer { _ = try? Child.runToEnd(["/bin/rm", "-rf", folder]) }
    return try await body(folder)
}

/// Statements outside of any store.
enum Server {
    static func run(_ sql: String, _ url: String) async throws {
        let thread = BatchThread<CheckedContinuation<String?, Never>>(weightLimit: 1, weight: { _ in 1 }) {
            { batch, _ in for caller in batch { caller.resume(returning: failure(of: sql, url)) } }
        }
        let problem: String? = await withCheckedContinuation { caller in
            if !thread.post(caller) { caller.resume(returning: "closed") }
        }
        await thread.close()
        if let problem { throw StoreError.broken("\(sql): \(problem)") }
    }

    /// Nil: it worked.
    private static func failure(of sql: String, _ url: String) -> String? {
        var message = [CChar](repeating: 0, count: 256)
        guard needletail_pq_open(&message, message.count) != 0 else { return "libpq is missing" }
        return "dbname".withCString { keyword in
            url.withCString { value in
                guard let connection = needletail_pq_connect([keyword, nil], [value, nil]) else { return "no memory" }
                defer { needletail_pq_finish(connection) }
                guard needletail_pq_is_ok(connection) != 0 else { return String(cString: needletail_pq_error(connection)) }
                let result = needletail_pq_exec(connection, sql)
                defer { if let result { needletail_pq_clear(result) } }
                return needletail_pq_succeeded(result) != 0 ? nil : String(cString: needletail_pq_error(connection))
            }
        }
    }
}
