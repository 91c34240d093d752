import Compute
import Engine
import Hub
import Models
import Progress
import Server
import Weights

/// Adapters from folders or the hub into this process's engine.
struct EngineAdapterLoader: AdapterLoader {
    let engine: Engine
    let adapters: ModelAdapters
    /// nil takes any.
    var maxRank: Int?
    var environment: [String: String]

    func load(path: String) async throws(AdapterLoadError) -> LoadedAdapter {
        let folder: String
        do {
            folder = try await Hub.locateAdapter(path, environment: environment)
        } catch {
            throw .notFound("No adapter found for '\(path)': \(error)")
        }
        do {
            let adapter = try adapters.load(folder: folder, maxRank: maxRank)
            let summary =
                "\(adapter.parts.count) module\(adapter.parts.count == 1 ? "" : "s"), rank \(adapter.maxRank), \(ByteSize.text(adapter.byteCount))"
            return LoadedAdapter(loraID: try await engine.load(adapter), summary: summary)
        } catch AdapterError.notAccepting {
            throw .unavailable("\(AdapterError.notAccepting)")
        } catch LoadError.file(let path, let reason) where reason.contains("no adapter found") {
            throw .notFound("\(path): \(reason)")
        } catch {
            throw .refused("\(error)")
        }
    }

    func unload(_ loraID: Int32) { engine.unload(loraID) }
}

extension ModelSession {
    /// Applies an adapter to everything that this session generates.
    mutating func apply(adapter path: String) async throws {
        do throws(AdapterLoadError) {
            adapterID = try await adapterLoader.load(path: path).loraID
        } catch {
            switch error {
            case .notFound(let reason), .refused(let reason), .unavailable(let reason): throw SettingsError(reason)
            }
        }
    }
}
