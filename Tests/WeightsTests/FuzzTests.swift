import FuzzReaders
import Testing

struct FuzzTests {
    /// A short run; the long one is a command of its own (`Fuzz/fuzz-readers`). A crash ends the test process, which is the failure.
    @Test(arguments: FuzzTarget.allCases) func readersSurviveDamagedFiles(_ target: FuzzTarget) throws {
        let run = try FuzzRun(target, seed: 20_250, count: 20_000)
        #expect(run.inputs == 20_000)
        // Some damage must be harmless and most must not be: otherwise the mutations miss the mark.
        #expect(run.accepted > 200 && run.accepted < 10_000)
    }

    @Test(arguments: FuzzTarget.allCases) func seedsAreValid(_ target: FuzzTarget) throws {
        for seed in try target.seeds() { #expect(seed.withUnsafeBytes(target.feed)) }
    }

    @Test func runsRepeat() throws {
        #expect(try FuzzRun(.gguf, seed: 5, count: 300).accepted == FuzzRun(.gguf, seed: 5, count: 300).accepted)
    }
}
