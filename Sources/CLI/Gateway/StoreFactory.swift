import Hub
import Jobs
import PostgresStore
import SQLiteStore

/// Opens the job store that a text names: `sqlite:PATH` or `postgres://…`.
enum StoreFactory {
    static func open(_ text: String) async throws -> any JobStore {
        if text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") { return try await PostgresStore(url: text) }
        guard text.hasPrefix("sqlite:") else {
            throw SettingsError("store: '\(text)' must be sqlite:PATH or postgres://USER@HOST/DATABASE")
        }
        let path = String(text.dropFirst("sqlite:".count))
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex { try Files.createFolder(String(path[..<slash])) }
        return try SQLiteStore(path: path)
    }

    /// Where a gateway keeps its files: `$XDG_STATE_HOME/needletail`, by default `~/.local/state/needletail`.
    static func stateDirectory(_ environment: [String: String]) -> String {
        let state = environment["XDG_STATE_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? "~/.local/state"
        return HubSettings.expand(state + "/needletail", environment)
    }
}
