import Jobs
import Providers
import Synchronization

/// A platform without machines: every worker runs until it is told to stop. Calls can be held, and waited for.
final class StandInProvider: WorkerProvider {
    enum Call: Hashable, Sendable { case start, stop, states }

    struct Record: Sendable {
        var started: [String] = []
        var stopped: [String] = []
        var forgotten: Set<String> = []
        /// Handles that it was asked about.
        var known: Set<String> = []
        var isClosed = false
        /// Calls begun.
        var calls: [Call: Int] = [:]
        /// Calls that have not returned, and the most there were at a time.
        var open: [Call: Int] = [:]
        var mostOpen: [Call: Int] = [:]
    }

    private struct State {
        var record = Record()
        var held: Set<Call>
        var gates: [Call: [CheckedContinuation<Void, Never>]] = [:]
        var waiters: [(isMet: @Sendable (Record) -> Bool, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state: Mutex<State>

    /// - held: calls that do not return before `release`.
    init(holding held: Set<Call> = []) { state = Mutex(State(held: held)) }

    var record: Record { state.withLock { $0.record } }

    func wait(for isMet: @escaping @Sendable (Record) -> Bool) async {
        await withCheckedContinuation { continuation in
            let isMetNow = state.withLock { state in
                if isMet(state.record) { return true }
                state.waiters.append((isMet, continuation))
                return false
            }
            if isMetNow { continuation.resume() }
        }
    }

    /// Waits until a whole pass has been made from now on.
    func passes() async {
        let count = record.calls[.states] ?? 0
        await wait { $0.calls[.states] ?? 0 >= count + 3 }
    }

    func release(_ call: Call) {
        let gates = state.withLock { state in
            state.held.remove(call)
            return state.gates.removeValue(forKey: call) ?? []
        }
        for gate in gates { gate.resume() }
    }

    private func note(_ change: (inout Record) -> Void) {
        let met = state.withLock { state in
            change(&state.record)
            let record = state.record
            defer { state.waiters.removeAll { $0.isMet(record) } }
            return state.waiters.filter { $0.isMet(record) }
        }
        for waiter in met { waiter.continuation.resume() }
    }

    private func pass(_ call: Call) async {
        note { record in
            record.calls[call, default: 0] += 1
            record.open[call, default: 0] += 1
            record.mostOpen[call] = max(record.mostOpen[call] ?? 0, record.open[call] ?? 0)
        }
        await withCheckedContinuation { continuation in
            let isHeld = state.withLock { state in
                guard state.held.contains(call) else { return false }
                state.gates[call, default: []].append(continuation)
                return true
            }
            if !isHeld { continuation.resume() }
        }
        note { $0.open[call, default: 0] -= 1 }
    }

    func start(_ order: WorkerOrder) async throws(ProviderError) -> String {
        await pass(.start)
        let handle = "handle-\(order.worker)"
        note { $0.started.append(handle) }
        return handle
    }

    func stop(_ handle: String, graceSeconds: Int) async {
        await pass(.stop)
        note { $0.stopped.append(handle) }
    }

    func states(_ handles: [String]) async -> [String: ProviderState] {
        await pass(.states)
        note { $0.known.formUnion(handles) }
        let stopped = Set(record.stopped)
        return Dictionary(handles.map { ($0, stopped.contains($0) ? .ended(reason: "exit code 0", succeeded: true) : .running) }, uniquingKeysWith: { first, _ in first })
    }

    func lastOutput(_ handle: String, lines: Int) async -> String? { nil }
    func forget(_ handle: String) async { note { $0.forgotten.insert(handle) } }
    func close() async { note { $0.isClosed = true } }
}

/// A platform that is always content.
struct StandInFleet: FleetProvider {
    func scale(to count: Int) async throws(ProviderError) -> Int { 0 }
    func fleet() async throws(ProviderError) -> FleetState { FleetState(wanted: 0, ready: 0) }
    func rank(_ costs: [WorkerID: Int]) async {}
    func close() async {}
}
