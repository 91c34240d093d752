import Gateway
import Jobs
import Testing

@Suite struct DashboardTimeSeriesTests {
    private let start = Timestamp(milliseconds: 1_800_000_000_000)

    @Test func percentilesAreWithinABin() throws {
        var generator = SplitMix(state: 3)
        for scale in [3.0, 80, 2500, 60_000] {
            let series = TimeSeries()
            var values: [Int] = []
            for _ in 0..<5000 {
                let value = Int(scale * (1 + 9 * Double.random(in: 0..<1, using: &generator)))
                values.append(value)
                series.recordQueueDelay(milliseconds: value, at: start)
                series.recordFirstToken(milliseconds: value * 2, at: start)
            }
            values.sort()
            let points = series.points(now: start)
            for (share, shown, doubled) in [(0.5, points.queueDelayP50, points.firstTokenP50), (0.95, points.queueDelayP95, points.firstTokenP95)] {
                let exact = Double(values[Int(share * 5000)])
                let value = try #require(shown.last ?? nil)
                #expect((0.74...1.35).contains(value / exact), "\(value) for \(exact)")
                #expect((0.74...1.35).contains(try #require(doubled.last ?? nil) / exact / 2))
            }
        }
    }

    @Test func extremesAreCounted() throws {
        let series = TimeSeries()
        series.recordQueueDelay(milliseconds: -5, at: start)
        series.recordQueueDelay(milliseconds: 0, at: start)
        #expect(try #require(series.points(now: start).queueDelayP95.last ?? nil) < 1)
        series.recordFirstToken(milliseconds: .max, at: start)
        #expect(try #require(series.points(now: start).firstTokenP50.last ?? nil) >= 1_000_000)
        for _ in 0..<70_000 { series.recordFirstToken(milliseconds: 5, at: start) }
        #expect(try #require(series.points(now: start).firstTokenP50.last ?? nil) < 10)
    }

    @Test func ratesAndLevels() {
        let series = TimeSeries()
        for second in 0..<10 {
            series.recordChunks(1, tokens: 100, at: start + second * 1000)
            series.recordChunks(2, tokens: 0, at: start + second * 1000 + 500)
        }
        series.recordEnd(.completed, at: start)
        series.recordEnd(.failed, at: start)
        series.recordEnd(.timedOut, at: start)
        series.recordLevels(workersUp: 2, inQueue: 7, inProgress: 1, at: start)
        let points = series.points(step: 5, now: start + 9000)
        #expect(points.tokensPerSecond.suffix(3) == [0, 100, 100])
        #expect(points.chunksPerSecond.last == 3)
        #expect(points.completedPerSecond.suffix(2) == [0.2, 0] && points.failedPerSecond.suffix(2) == [0.4, 0])
        // Levels hold until the next is told.
        #expect(points.workersUp.suffix(3) == [nil, 2, 2] && points.inQueue.last == 7 && points.inProgress.last == 1)
        #expect(points.queueDelayP50.allSatisfy { $0 == nil })
        #expect(points.tokensPerSecond.count == 180 && points.from + 179 * 5 == start.milliseconds / 1000 + 5)
    }

    @Test func oldSecondsFallOut() {
        let series = TimeSeries()
        series.recordChunks(1, tokens: 50, at: start)
        series.recordQueueDelay(milliseconds: 10, at: start)
        #expect(series.points(now: start + 894_000).tokensPerSecond.contains(10))
        let later = series.points(now: start + 900_000)
        #expect(later.tokensPerSecond.allSatisfy { $0 == 0 } && later.queueDelayP50.allSatisfy { $0 == nil })
        // The same row again, 15 minutes on: nothing of the old is left in it.
        series.recordChunks(1, tokens: 5, at: start + 900_000)
        #expect(series.points(now: start + 900_000).tokensPerSecond.last == 1)
        #expect(series.points(now: start + 900_000).queueDelayP50.last == .some(nil))
    }

    @Test func clocksThatGoBackAreBorne() {
        let series = TimeSeries()
        series.recordChunks(1, tokens: 50, at: start)
        series.recordChunks(1, tokens: 5, at: start + -900_000 * 4)
        #expect(series.points(now: start + -900_000 * 4).tokensPerSecond.last == 1)
    }

    @Test func sinceSendsTheLastStepsOnly() {
        let series = TimeSeries()
        let all = series.points(now: start)
        #expect(all.tokensPerSecond.count == 180)
        let next = series.points(since: Timestamp(milliseconds: (all.from + 179 * 5) * 1000), now: start + 5000)
        #expect(next.tokensPerSecond.count == 2 && next.from == all.from + 179 * 5)
        #expect(series.points(since: Timestamp(milliseconds: 0), now: start).from == all.from)
        #expect(series.points(since: start + 100_000, now: start).tokensPerSecond.count == 1)
        #expect(series.points(step: 0, now: start).tokensPerSecond.count == 900)
    }

    @Test func manyTasksRecordAtOnce() async {
        let series = TimeSeries()
        await withDiscardingTaskGroup { group in
            for _ in 0..<8 {
                group.addTask { for _ in 0..<1000 { series.recordChunks(1, tokens: 0, at: Timestamp(milliseconds: 1_800_000_000_000)) } }
            }
        }
        #expect(series.points(step: 1, now: start).chunksPerSecond.last == 8000)
    }
}
