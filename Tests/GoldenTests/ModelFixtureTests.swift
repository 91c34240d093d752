import Compute
import Golden
import Testing

/// Every committed model folder against the reference's logits and greedy tokens, with the promise that batching and chunking change no bit.
@Suite struct ModelFixtureTests {
    static let folders = (try? Verifier.find(below: [Fixtures.path("models")])) ?? []

    @Test func fixturesAreThere() {
        #expect(Self.folders.count >= 125)
    }

    @Test(arguments: folders, [ComputePrecision.float32, .auto])
    func matchesTheReference(_ folder: GoldenFolder, _ precision: ComputePrecision) {
        let result = Verifier(precision: precision, threadCount: 2).verify(folder)
        #expect(result.failures.isEmpty, "\(folder.name): \(result.failures.joined(separator: "; "))")
    }
}
