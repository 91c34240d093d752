internal import Synchronization

/// Things worth saying once in a process.
final class OneTimeNotices: Sendable {
    private let said = Mutex<Set<String>>([])

    func once(_ name: String, _ say: () -> Void) {
        if said.withLock({ $0.insert(name).inserted }) { say() }
    }
}
