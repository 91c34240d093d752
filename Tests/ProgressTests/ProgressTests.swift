import Progress
import Synchronization
import Testing

@Suite("Progress")
struct ProgressTests {
    /// A terminal of 60 columns and a clock that the test turns.
    private final class Stage: Sendable {
        let text = Mutex("")
        let time = Mutex(0.0)

        func reporter(_ style: TerminalProgress.Style) -> TerminalProgress {
            TerminalProgress(
                style: style, width: { 61 }, now: { self.time.withLock { $0 } }, write: { text in self.text.withLock { $0 += text } })
        }

        func tick(_ seconds: Double) { time.withLock { $0 += seconds } }
        func take() -> String {
            text.withLock { text in
                defer { text = "" }
                return text
            }
        }
    }

    @Test func figures() {
        #expect([0, 999, 1000, 1234, 9_949, 9_950, 999_499, 999_500, 38_000_000, Int.max].map(ProgressFormat.bytes) == [
            "0 B", "999 B", "1.0 kB", "1.2 kB", "9.9 kB", "10 kB", "999 kB", "1.0 MB", "38 MB", "9.2 EB",
        ])
        #expect([0, 59.6, 3599, 3600, 86_399, -1, .infinity, .nan].map(ProgressFormat.duration) == [
            "0:00", "1:00", "59:59", "1:00:00", "23:59:59", "-", "-", "-",
        ])
        #expect(ProgressFormat.rate(4.25, .items("layers")) == "4.3 layers/s")
        #expect(ProgressFormat.rate(.infinity, .bytes) == "-" && ProgressFormat.rate(1e30, .bytes) == "9.2 EB/s")
        #expect(ProgressFormat.shortened("model-00001-of-00009.safetensors", to: 16) == "model…afetensors")
        for width in 0...40 { #expect(ProgressFormat.shortened("model-00001-of-00009.safetensors", to: width).count <= width || width >= 32) }
        #expect(ProgressFormat.printable("a\u{1B}[31mb\n") == "a\u{FFFD}[31mb\u{FFFD}")
    }

    @Test func barsAreRepaintedInPlace() {
        let stage = Stage(), progress = stage.reporter(.bars(color: false))
        progress.plan("acme/tiny", total: 4_000_000, unit: .bytes)
        #expect(stage.take().hasPrefix("acme/tiny "))
        let item = progress.begin("model.safetensors", total: 3_000_000, done: 1_000_000, unit: .bytes)
        for _ in 0..<4 {
            stage.tick(0.5)
            progress.advance(item, by: 250_000)
        }
        let painted = stage.take()
        #expect(painted.contains("\u{1B}[2A\r\u{1B}[J") && !painted.contains("\u{1B}[3"))
        let last = painted.split(separator: "\u{1B}[J").last.map { $0.split(separator: "\n") } ?? []
        #expect(last.count == 2 && last.allSatisfy { $0.count <= 60 })
        // 1 MB in 2 s; what was there before counts as done but not as speed.
        #expect(last[0].hasPrefix("model.safetensors") && last[0].contains(" 66% 2.0 MB/3.0 MB 500 kB/s 0:02"))
        #expect(last[1].hasPrefix("acme/tiny") && last[1].contains(" 50% 2.0 MB/4.0 MB"))
        progress.note("trying\u{1B}again")
        #expect(stage.take().contains("trying\u{FFFD}again\n"))
        progress.finish(item, .done)
        #expect(stage.take().contains("\u{1B}[Jmodel.safetensors: 2.0 MB in 0:02, 500 kB/s\n"))
        progress.close()
        #expect(stage.take().hasSuffix("acme/tiny: 3.0 MB in 0:02\n"))
        progress.close()
        progress.advance(item, by: 1)
        #expect(!stage.take().contains("model"))
    }

    @Test func atMostTenPaintsASecond() {
        let stage = Stage(), progress = stage.reporter(.bars(color: true))
        let item = progress.begin("x", total: 1000, unit: .items("layers"))
        for _ in 0..<1000 {
            stage.tick(0.001)
            progress.advance(item, by: 1)
        }
        let text = stage.take()
        #expect((9...11).contains(text.split(separator: "\u{1B}[J").count))
        #expect(text.contains("\u{1B}[36m") && text.contains("layers/s"))
    }

    @Test func aLogGetsALineNowAndThen() {
        let stage = Stage(), progress = stage.reporter(.plain(interval: 5))
        progress.plan("acme/tiny", total: 100_000_000, unit: .bytes)
        let item = progress.begin("model.safetensors", total: 100_000_000, unit: .bytes)
        for _ in 0..<120 {
            stage.tick(0.1)
            progress.advance(item, by: 100_000)
        }
        let lines = stage.take().split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines[1].hasPrefix("acme/tiny: 10 MB of 100 MB (10%), 1.0 MB/s, 1:3") || lines[1].hasPrefix("acme/tiny: 10 MB of 100 MB (9%)"))
        progress.finish(item, .failed("line\nbroken"))
        #expect(stage.take() == "model.safetensors: failed: line\u{FFFD}broken\n")
    }

    @Test func quietSpeaksOfFailuresOnly() {
        let stage = Stage(), progress = stage.reporter(.quiet)
        let first = progress.begin("a", total: 1, unit: .bytes), second = progress.begin("b", total: 1, unit: .bytes)
        progress.note("hello")
        progress.finish(first, .done)
        progress.finish(second, .failed("no"))
        progress.close()
        #expect(stage.take() == "b: failed: no\n")
    }

    @Test func styleByPlace() {
        #expect(TerminalProgress.style(isTerminal: true, quiet: false, environment: [:]) == .bars(color: true))
        #expect(TerminalProgress.style(isTerminal: true, quiet: false, environment: ["NO_COLOR": "1"]) == .bars(color: false))
        #expect(TerminalProgress.style(isTerminal: true, quiet: false, environment: ["NO_COLOR": ""]) == .bars(color: true))
        #expect(TerminalProgress.style(isTerminal: true, quiet: false, environment: ["TERM": "dumb"]) == .plain(interval: 5))
        #expect(TerminalProgress.style(isTerminal: false, quiet: false, environment: [:]) == .plain(interval: 5))
        #expect(TerminalProgress.style(isTerminal: true, quiet: true, environment: [:]) == .quiet)
    }

    @Test func aTransferThatStartsAgainAndAnUnknownTotal() {
        var board = ProgressBoard()
        #expect(board.lines(width: 60, now: 0, color: false).isEmpty && board.isIdle && board.summary(now: 0) == nil)
        let item = board.begin("x", total: 10, done: 0, unit: .bytes, now: 0)
        board.advance(item, by: 8, now: 1)
        board.move(item, to: 0, now: 2)
        #expect(board.done == 0 && board.total == 10)
        let open = board.begin("y", total: nil, done: 0, unit: .bytes, now: 0)
        board.advance(open, by: 50, now: 3)
        #expect(board.lines(width: 60, now: 5, color: false).contains { $0.hasPrefix("y") && $0.contains("50 B 10 B/s") })
        for width in [1, 5, 20, 60, 200] { #expect(board.lines(width: width, now: 5, color: false).allSatisfy { $0.count <= width }) }
        #expect(board.finish(item, .skipped, now: 6) == "x: already there")
        #expect(board.finish(item, .done, now: 6) == nil)
        #expect(board.finish(open, .stopped, now: 6) == "y: stopped at 50 B")
    }
}
