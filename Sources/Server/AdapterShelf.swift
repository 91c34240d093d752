package import OpenAI
internal import Synchronization

/// How the server brings adapters to the model: finding and reading their files, and the engine's number for them.
package protocol AdapterLoader: Sendable {
    func load(path: String) async throws(AdapterLoadError) -> LoadedAdapter
    /// Requests that run with it finish.
    func unload(_ loraID: Int32)
}

package struct LoadedAdapter: Sendable, Equatable {
    /// For `EngineRequest.loraID`.
    package var loraID: Int32
    /// For the log: "14 modules, rank 8, 73 KiB".
    package var summary: String

    package init(loraID: Int32, summary: String) {
        self.loraID = loraID
        self.summary = summary
    }
}

package enum AdapterLoadError: Error, Sendable, Equatable {
    /// Maps to 404: there is no adapter at the path.
    case notFound(String)
    /// Maps to 400: it cannot be used with this model.
    case refused(String)
    /// Maps to 503: the engine is shutting down.
    case unavailable(String)
}

/// The adapters that requests can name, some of them loaded and unloaded while the server runs.
package final class AdapterShelf: Sendable {
    package struct Adapter: Sendable, Equatable {
        package var name: String
        package var path: String
        /// The `parent` in the list of models; nil is the served model's first name.
        package var baseName: String?
        package var loraID: Int32
    }

    private struct State {
        var adapters: [Adapter] = []
        /// Names whose load is under way.
        var loading: Set<String> = []
    }

    private let state = Mutex(State())
    private let loader: (any AdapterLoader)?
    /// The model's own names, which no adapter may take.
    private let modelNames: [String]

    /// - Parameter loader: nil where the model takes no adapters.
    package init(loader: (any AdapterLoader)?, modelNames: [String]) {
        self.loader = loader
        self.modelNames = modelNames
    }

    /// In the order of loading.
    package var adapters: [Adapter] { state.withLock { $0.adapters } }

    package func find(_ name: String) -> Adapter? { state.withLock { state in state.adapters.first { $0.name == name } } }

    /// Loads an adapter under a name that is free.
    /// - Parameter inPlace: replaces the adapter that has the name; its running requests finish with the old weights.
    /// - Returns: what the loader says of it.
    @discardableResult
    package func load(name: String, path: String, baseName: String? = nil, inPlace: Bool = false) async throws(APIError) -> String {
        guard !name.isEmpty, !path.isEmpty else { throw .adapter("Both 'lora_name' and 'lora_path' must be provided.", "lora_name") }
        guard !modelNames.contains(name) else {
            throw .adapter("The name '\(name.clipped(to: 200))' is the base model's; choose another for the adapter.", "lora_name")
        }
        guard let loader else { throw .adapter("This model takes no adapters.", nil) }
        let refusal: String? = state.withLock { state in
            if state.loading.contains(name) { return "The lora adapter '\(name.clipped(to: 200))' is being loaded by another request." }
            if !inPlace, state.adapters.contains(where: { $0.name == name }) {
                return "The lora adapter '\(name.clipped(to: 200))' has already been loaded. "
                    + "If you want to load the adapter in place, set 'load_inplace' to True."
            }
            state.loading.insert(name)
            return nil
        }
        if let refusal { throw .adapter(refusal, "lora_name") }
        let result: Result<LoadedAdapter, AdapterLoadError>
        do throws(AdapterLoadError) {
            result = .success(try await loader.load(path: path))
        } catch {
            result = .failure(error)
        }
        let replaced: Int32? = state.withLock { state in
            state.loading.remove(name)
            guard case .success(let loaded) = result else { return nil }
            let adapter = Adapter(name: name, path: path, baseName: baseName, loraID: loaded.loraID)
            guard let place = state.adapters.firstIndex(where: { $0.name == name }) else {
                state.adapters.append(adapter)
                return nil
            }
            let old = state.adapters[place].loraID
            state.adapters[place] = adapter
            return old
        }
        if let replaced { loader.unload(replaced) }
        switch result {
        case .success(let loaded): return loaded.summary
        case .failure(.notFound(let reason)): throw APIError(status: 404, message: reason, type: "NotFoundError", parameter: "lora_path")
        case .failure(.refused(let reason)): throw APIError(status: 400, message: reason, type: "BadRequestError", parameter: "lora_path")
        case .failure(.unavailable(let reason)): throw .overloaded(reason)
        }
    }

    package func unload(name: String) throws(APIError) {
        guard !name.isEmpty else { throw .adapter("'lora_name' needs to be provided to unload a LoRA adapter.", "lora_name") }
        let removed: Int32? = state.withLock { state in
            guard let place = state.adapters.firstIndex(where: { $0.name == name }) else { return nil }
            return state.adapters.remove(at: place).loraID
        }
        guard let removed else {
            throw APIError(
                status: 404, message: "The lora adapter '\(name.clipped(to: 200))' cannot be found.", type: "NotFoundError", parameter: "lora_name")
        }
        loader?.unload(removed)
    }
}

extension APIError {
    /// A request about adapters that cannot be right.
    fileprivate static func adapter(_ message: String, _ parameter: String?) -> APIError {
        APIError(status: 400, message: message, type: "InvalidUserInput", parameter: parameter)
    }
}
