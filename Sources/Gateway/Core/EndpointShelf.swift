package import Jobs
internal import Synchronization

/// The endpoints as they are defined now: those of the configuration file and those made over the admin API.
package final class EndpointShelf: Sendable {
    private struct State {
        var file: [EndpointID: EndpointDefinition] = [:]
        var added: [EndpointID: EndpointDefinition] = [:]
        var notes: [EndpointID: String] = [:]
    }

    private let state = Mutex(State())

    package init() {}

    func definition(_ id: EndpointID) -> EndpointDefinition? { state.withLock { $0.file[id] ?? $0.added[id] } }

    var all: [EndpointDefinition] {
        state.withLock { state in
            let added = state.added.values.filter { state.file[$0.id] == nil }
            return (Array(state.file.values) + added).sorted { $0.id < $1.id }
        }
    }

    /// Why an endpoint's jobs wait, for people; nil: they need not.
    func note(_ id: EndpointID) -> String? { state.withLock { $0.notes[id] } }
    func setNote(_ id: EndpointID, _ note: String?) { state.withLock { $0.notes[id] = note } }

    func isFromFile(_ id: EndpointID) -> Bool { state.withLock { $0.file[id] != nil } }

    package func setFile(_ definitions: [EndpointDefinition]) {
        state.withLock { state in state.file = Dictionary(definitions.map { ($0.id, $0) }, uniquingKeysWith: { _, last in last }) }
    }

    func setAdded(_ definitions: [EndpointDefinition]) {
        state.withLock { state in state.added = Dictionary(definitions.map { ($0.id, $0) }, uniquingKeysWith: { _, last in last }) }
    }
}
