import Glibc
import JSON
import Synchronization

/// The phases of a start, from the moment the process came into being, each in milliseconds.
final class ColdStart: Sendable {
    private struct State {
        var phases: [(name: String, milliseconds: Double)] = []
        /// Milliseconds from the process's start to the end of the last phase.
        var reached: Double
    }

    private let state: Mutex<State>
    private let begin = ContinuousClock.now
    /// Age of the process at `begin`, ms.
    private let age: Double

    init() {
        age = Self.age ?? 0
        state = Mutex(State(reached: 0))
    }

    private var now: Double { age + (ContinuousClock.now - begin) / .milliseconds(1) }

    /// Notes the end of a phase that began where the one before ended.
    func mark(_ name: String) {
        let now = self.now
        state.withLock { state in
            state.phases.append((name, max(0, now - state.reached)))
            state.reached = now
        }
    }

    /// Notes phases that something else has timed, the last of them ending now.
    func add(_ phases: [(name: String, milliseconds: Double)]) {
        let now = self.now
        state.withLock { state in
            state.phases += phases
            state.reached = now
        }
    }

    var phases: [(name: String, milliseconds: Double)] { state.withLock { $0.phases } }
    var total: Double { state.withLock { $0.reached } }

    /// "412 ms (process 18, locate 1, …)".
    var summary: String {
        "\(Int(total.rounded())) ms (" + phases.map { "\($0.name) \(Int($0.milliseconds.rounded()))" }.joined(separator: ", ") + ")"
    }

    /// `{"total":412,"process":18,…}`, in ms.
    var json: String {
        var writer = JSONWriter(capacity: 128)
        writer.raw("{\"total\":")
        writer.int(Int(total.rounded()))
        for phase in phases {
            writer.raw(",")
            writer.string(phase.name)
            writer.raw(":")
            writer.double((phase.milliseconds * 10).rounded() / 10)
        }
        writer.raw("}")
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// How long the process has been there, ms: field 22 of `/proc/self/stat` (clock ticks since boot) against the time since boot. Right to a
    /// hundredth of a second.
    private static var age: Double? {
        guard let text = SmallFile.text("/proc/self/stat"), let end = text.lastIndex(of: ")"),
            let uptime = SmallFile.text("/proc/uptime")?.split(separator: " ").first.flatMap({ Double($0) })
        else { return nil }
        // The name in parentheses is field 2; what follows it starts with field 3.
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 19, let ticks = Double(fields[19]) else { return nil }
        return max(0, uptime - ticks / Double(max(1, sysconf(Int32(_SC_CLK_TCK))))) * 1000
    }
}
