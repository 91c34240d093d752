internal import Jobs

extension GatewayCore {
    /// The store's `apply`, timed and counted. What follows from the verdicts is the caller's to do.
    func apply(_ steps: [JobStep], _ durability: Durability) async throws(StoreError) -> [JobVerdict] {
        let start = ContinuousClock.now
        do throws(StoreError) {
            let verdicts = try await store.apply(steps, durability)
            signals.metrics.store(.apply, took: ContinuousClock.now - start)
            return verdicts
        } catch {
            signals.metrics.store(.apply, took: ContinuousClock.now - start, failed: true)
            throw error
        }
    }
}
