#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif
import Synchronization

/// Progress on a terminal (bars repainted in place, ten times a second at most) or in a log (a plain line every few seconds).
///
/// Writes to standard error by default, so that standard output stays for results. Repaints happen inside the calls that report
/// progress: there is no thread or timer behind it.
package final class TerminalProgress: ProgressReporter {
    package enum Style: Sendable, Equatable {
        /// Lines repainted in place with escape sequences.
        case bars(color: Bool)
        /// One line every `interval` seconds.
        case plain(interval: Double)
        /// Nothing but notes of failed work.
        case quiet
    }

    private struct State {
        var board = ProgressBoard()
        var paintedLines = 0
        var lastPaint = -Double.infinity
    }

    package let style: Style
    private let write: @Sendable (String) -> Void
    private let width: @Sendable () -> Int
    private let now: @Sendable () -> Double
    private let state = Mutex(State())

    /// - Parameters:
    ///   - style: nil chooses by the file descriptor and the environment.
    ///   - environment: `NO_COLOR` (any value but empty), `TERM=dumb`.
    package convenience init(
        descriptor: Int32 = STDERR_FILENO, quiet: Bool = false, style: Style? = nil, environment: [String: String] = [:]
    ) {
        let chosen = style ?? Self.style(isTerminal: isatty(descriptor) == 1, quiet: quiet, environment: environment)
        let clock = ContinuousClock(), start = clock.now
        self.init(
            style: chosen,
            width: { Self.columns(of: descriptor) },
            now: {
                let (seconds, attoseconds) = (clock.now - start).components
                return Double(seconds) + Double(attoseconds) * 1e-18
            },
            write: { text in Self.writeAll(text, to: descriptor) })
    }

    /// Everything given, for tests and other outputs.
    package init(
        style: Style, width: @escaping @Sendable () -> Int, now: @escaping @Sendable () -> Double,
        write: @escaping @Sendable (String) -> Void
    ) {
        (self.style, self.width, self.now, self.write) = (style, width, now, write)
    }

    package static func style(isTerminal: Bool, quiet: Bool, environment: [String: String]) -> Style {
        if quiet { return .quiet }
        guard isTerminal, environment["TERM"] != "dumb" else { return .plain(interval: 5) }
        return .bars(color: (environment["NO_COLOR"] ?? "").isEmpty)
    }

    package func plan(_ title: String, total: Int, unit: ProgressUnit) {
        update { $0.board.plan(title, total: total, unit: unit, now: $1) }
    }

    package func begin(_ name: String, total: Int?, done: Int, unit: ProgressUnit) -> ProgressItem {
        update { $0.board.begin(name, total: total, done: done, unit: unit, now: $1) }
    }

    package func advance(_ item: ProgressItem, by amount: Int) {
        update { $0.board.advance(item, by: amount, now: $1) }
    }

    package func move(_ item: ProgressItem, to done: Int) {
        update { $0.board.move(item, to: done, now: $1) }
    }

    package func finish(_ item: ProgressItem, _ outcome: ProgressOutcome) {
        state.withLock { state in
            let time = now()
            guard let line = state.board.finish(item, outcome, now: time) else { return }
            if style == .quiet {
                guard case .failed = outcome else { return }
            }
            print(line, &state, time)
        }
    }

    package func note(_ message: String) {
        guard style != .quiet else { return }
        state.withLock { print(ProgressFormat.printable(message), &$0, now()) }
    }

    package func close() {
        state.withLock { state in
            let summary = style == .quiet ? nil : state.board.summary(now: now())
            let text = erasure(&state) + (summary.map { $0 + "\n" } ?? "")
            state.board = ProgressBoard()
            state.lastPaint = -.infinity
            if !text.isEmpty { write(text) }
        }
    }

    private func update<Result>(_ change: (inout State, Double) -> Result) -> Result {
        state.withLock { state in
            let time = now(), result = change(&state, time)
            switch style {
            case .quiet: break
            case .bars(let color):
                guard time - state.lastPaint >= 0.1 else { break }
                paint(&state, time, color: color, above: "")
            case .plain(let interval):
                if state.lastPaint == -.infinity { state.lastPaint = time }
                guard time - state.lastPaint >= interval else { break }
                state.lastPaint = time
                write(state.board.plainLine(now: time) + "\n")
            }
            return result
        }
    }

    private func print(_ line: String, _ state: inout State, _ time: Double) {
        guard case .bars(let color) = style else { return write(line + "\n") }
        paint(&state, time, color: color, above: line + "\n")
    }

    private func paint(_ state: inout State, _ time: Double, color: Bool, above: String) {
        let lines = state.board.lines(width: max(20, width() - 1), now: time, color: color)
        let text = erasure(&state) + above + lines.map { $0 + "\n" }.joined()
        state.paintedLines = lines.count
        state.lastPaint = time
        write(text)
    }

    /// Cursor to the first painted line, and everything from there on cleared.
    private func erasure(_ state: inout State) -> String {
        defer { state.paintedLines = 0 }
        return state.paintedLines > 0 ? "\u{1B}[\(state.paintedLines)A\r\u{1B}[J" : ""
    }

    private static func columns(of descriptor: Int32) -> Int {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    private static func writeAll(_ text: String, to descriptor: Int32) {
        var text = text
        text.withUTF8 { bytes in
            var offset = 0
            while offset < bytes.count {
                #if canImport(Glibc)
                let count = Glibc.write(descriptor, bytes.baseAddress! + offset, bytes.count - offset)
                #elseif canImport(Musl)
                let count = Musl.write(descriptor, bytes.baseAddress! + offset, bytes.count - offset)
                #else
                let count = Darwin.write(descriptor, bytes.baseAddress! + offset, bytes.count - offset)
                #endif
                if count <= 0 { return }
                offset += count
            }
        }
    }
}
