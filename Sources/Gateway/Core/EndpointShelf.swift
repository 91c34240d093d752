package import Jobs
internal import Synchronization

/// The endpoints as they are defined now: those of the configuration file and those made over the admin API.
package final class EndpointShelf: Sendable {
    private struct State {
        var file: [EndpointID: EndpointDefinition] = [:]
        var added: [EndpointID: EndpointDefinition] = [:]
        /// What was defined before, while nothing else has its name: workers that are still busy for it may end what they have.
        var former: [EndpointID: EndpointDefinition] = [:]
        var notes: [EndpointID: String] = [:]

        mutating func replace(file: [EndpointDefinition], added: [EndpointDefinition]) {
            former.merge(self.added) { _, last in last }
            former.merge(self.file) { _, last in last }
            self.file = Dictionary(file.map { ($0.id, $0) }, uniquingKeysWith: { _, last in last })
            self.added = Dictionary(added.map { ($0.id, $0) }, uniquingKeysWith: { _, last in last })
            former = former.filter { self.file[$0.key] == nil && self.added[$0.key] == nil }
        }
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

    /// The definition of an endpoint that has been removed since the gateway started.
    func former(_ id: EndpointID) -> EndpointDefinition? { state.withLock { $0.former[id] } }

    /// The endpoints of the file; there are no others.
    package func setFile(_ definitions: [EndpointDefinition]) { replace(file: definitions, added: []) }

    /// Both at once: an endpoint that moves from one to the other is there all the time, and keeps its workers.
    func replace(file: [EndpointDefinition], added: [EndpointDefinition]) {
        state.withLock { $0.replace(file: file, added: added) }
    }
}
