package import JSON
package import Jobs

extension RateLimits {
    /// Reads `{"run": {"per10s": 1000, "concurrent": 200, "per10sPerWorker": 200, "concurrentPerWorker": 100}, …}` over the standard limits; `0` for a
    /// base takes the limit away, and `false` in place of the whole takes all away.
    package init(_ json: JSONValue, _ place: String) throws(DefinitionError) {
        if json.bool == false {
            self = .none
            return
        }
        self = .standard
        var reader = try SettingsReader(json, place)
        for operation in LimitedOperation.allCases {
            guard let value = reader.take(operation.rawValue) else { continue }
            var own = try SettingsReader(value, "\(place): \(operation.rawValue)")
            var limit = self[operation]
            if let base = try own.int("per10s", 0...1_000_000_000) { limit.per10Seconds = base == 0 ? nil : base }
            if let base = try own.int("concurrent", 0...1_000_000_000) { limit.concurrent = base == 0 ? nil : base }
            limit.per10SecondsPerWorker = try own.int("per10sPerWorker", 0...1_000_000_000) ?? limit.per10SecondsPerWorker
            limit.concurrentPerWorker = try own.int("concurrentPerWorker", 0...1_000_000_000) ?? limit.concurrentPerWorker
            try own.finish()
            self[operation] = limit
        }
        try reader.finish()
    }
}
