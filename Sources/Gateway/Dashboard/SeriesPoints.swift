package import JSON

/// An endpoint's plots: equally long lists, one value a step.
package struct SeriesPoints: Sendable, Equatable {
    /// Where the first step begins, seconds since 1970.
    package let from: Int
    /// Seconds.
    package let step: Int
    /// ms; nil in steps in which nothing was recorded.
    package var queueDelayP50: [Double?] = []
    package var queueDelayP95: [Double?] = []
    package var firstTokenP50: [Double?] = []
    package var firstTokenP95: [Double?] = []
    package var tokensPerSecond: [Double?] = []
    package var chunksPerSecond: [Double?] = []
    package var completedPerSecond: [Double?] = []
    package var failedPerSecond: [Double?] = []
    package var workersUp: [Double?] = []
    package var inQueue: [Double?] = []
    package var inProgress: [Double?] = []

    package init(from: Int, step: Int) {
        self.from = from
        self.step = step
    }

    package func write(into writer: inout JSONWriter) {
        writer.raw("{\"from\":")
        writer.int(from)
        writer.raw(",\"step\":")
        writer.int(step)
        list("queueDelayP50", queueDelayP50, &writer)
        list("queueDelayP95", queueDelayP95, &writer)
        list("firstTokenP50", firstTokenP50, &writer)
        list("firstTokenP95", firstTokenP95, &writer)
        list("tokensPerSecond", tokensPerSecond, &writer)
        list("chunksPerSecond", chunksPerSecond, &writer)
        list("completedPerSecond", completedPerSecond, &writer)
        list("failedPerSecond", failedPerSecond, &writer)
        list("workersUp", workersUp, &writer)
        list("inQueue", inQueue, &writer)
        list("inProgress", inProgress, &writer)
        writer.raw("}")
    }

    private func list(_ name: StaticString, _ values: [Double?], _ writer: inout JSONWriter) {
        writer.next(name)
        writer.raw("[")
        for (index, value) in values.enumerated() {
            if index > 0 { writer.raw(",") }
            // Tenths are finer than any plot, and whole numbers are most of them.
            if let value { writer.number((value * 10).rounded() / 10) } else { writer.raw("null") }
        }
        writer.raw("]")
    }
}
