import CLI
import Testing

@Suite struct StatisticsTests {
    /// numpy 2: mean, std, percentile([1, 2, 4, 8], [0, 25, 50, 90, 99, 100]).
    @Test func matchesNumPy() {
        let statistics = Statistics([8, 1, 4, 2])
        #expect(statistics.mean == 3.75)
        #expect(abs(statistics.standardDeviation - 2.680951323690902) < 1e-12)
        for (rank, value) in [(0.0, 1.0), (25, 1.75), (50, 3), (90, 6.8), (99, 7.88), (100, 8)] {
            #expect(abs(statistics.percentile(rank) - value) < 1e-12)
        }
    }

    @Test func emptyAndSingle() {
        #expect(Statistics([]).percentile(99) == 0)
        #expect(Statistics([]).mean == 0)
        #expect(Statistics([5]).percentile(1) == 5)
        #expect(Statistics([5]).standardDeviation == 0)
    }

    @Test func writesFixedDecimals() {
        #expect(Fixed.text(0, 2) == "0.00")
        #expect(Fixed.text(0.005, 1) == "0.0")
        #expect(Fixed.text(-0.001, 2) == "0.00")
        #expect(Fixed.text(-1.5, 2) == "-1.50")
        #expect(Fixed.text(1234.567, 2) == "1234.57")
        #expect(Fixed.text(9.999, 2) == "10.00")
        #expect(Fixed.text(2.5, 0) == "2")
        #expect(Fixed.text(.infinity, 2) == "inf")
    }
}

@Suite struct ArrivalScheduleTests {
    @Test func keepsTheRateAndTheSeed() {
        let times = ArrivalSchedule.times(count: 500, rate: 10, burstiness: 1, seed: 7)
        #expect(times == ArrivalSchedule.times(count: 500, rate: 10, burstiness: 1, seed: 7))
        #expect(times != ArrivalSchedule.times(count: 500, rate: 10, burstiness: 1, seed: 8))
        #expect(abs(times[499] - 50) < 1e-9)
        #expect(zip(times, times.dropFirst()).allSatisfy { $0 <= $1 })
    }

    /// The coefficient of variation of gamma gaps is 1/√shape.
    @Test(arguments: [0.25, 1.0, 4.0])
    func gapsHaveTheShape(_ burstiness: Double) {
        let times = ArrivalSchedule.times(count: 40_000, rate: 1, burstiness: burstiness, seed: 3)
        let gaps = Statistics(zip(times.dropFirst(), times).map { $0 - $1 })
        #expect(abs(gaps.standardDeviation / gaps.mean * burstiness.squareRoot() - 1) < 0.05)
    }

    @Test func sendsAllAtOnce() {
        #expect(ArrivalSchedule.times(count: 3, rate: .infinity, burstiness: 1, seed: 0) == [0, 0, 0])
        #expect(ArrivalSchedule.times(count: 0, rate: 1, burstiness: 1, seed: 0) == [])
    }
}
