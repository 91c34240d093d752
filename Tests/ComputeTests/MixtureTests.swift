import AllocationCounter
import Compute
import Glibc
import Tensors
import Testing

@Suite struct MixtureTests {
    static let hidden = 64, intermediate = 96

    /// A mixture with what the reference needs of it.
    struct Layer {
        let backend: CPUBackend
        let router: TestMatrix
        let correction: [Float]?
        let gateUp: [TestMatrix], down: [TestMatrix]
        let sharedGateUp: TestMatrix, sharedDown: TestMatrix, sharedGate: TestMatrix
        let mixture: Mixture

        init(
            _ routing: RoutingSpec, activation: Activation = .silu, isGated: Bool = true, biases: Bool = false, corrected: Bool = false,
            routerBias: Bool? = nil, shared: Bool = false, storage: Storage = .f32, threads: Int = 2, precision: ComputePrecision = .auto, seed: UInt64 = 1
        ) throws {
            var configuration = CPUBackend.Configuration(threadCount: threads, maxBatchedTokens: 64)
            configuration.precision = precision
            let backend = CPUBackend(configuration)
            self.backend = backend
            var numbers = Numbers(seed)
            let inner = MixtureTests.intermediate, hidden = MixtureTests.hidden
            router = try TestMatrix(backend, routing.experts, hidden, &numbers, bias: routerBias ?? biases, scale: 3)
            correction = corrected ? numbers.floats(routing.experts) : nil
            var gateUp: [TestMatrix] = [], down: [TestMatrix] = []
            for _ in 0..<routing.experts {
                gateUp.append(try TestMatrix(backend, isGated ? 2 * inner : inner, hidden, &numbers, storage, bias: biases, scale: 2))
                down.append(try TestMatrix(backend, hidden, inner, &numbers, storage, bias: biases))
            }
            (self.gateUp, self.down) = (gateUp, down)
            sharedGateUp = try TestMatrix(backend, 2 * 160, hidden, &numbers, storage)
            sharedDown = try TestMatrix(backend, hidden, 160, &numbers, storage)
            sharedGate = try TestMatrix(backend, 1, hidden, &numbers)
            mixture = try Mixture(
                router: router.stored, routing: routing, correctionBias: try correction.map { try backend.makeVector($0) },
                gateUp: gateUp.map(\.stored), down: down.map(\.stored), activation: activation, isGated: isGated,
                shared: shared
                    ? SharedExpert(gateUp: sharedGateUp.stored, down: sharedDown.stored, activation: .silu, gate: sharedGate.stored) : nil)
        }

        func run(_ x: [Float]) throws -> [Float] {
            let rows = x.count / MixtureTests.hidden
            let input = try backend.makeTensor(rows: rows, columns: MixtureTests.hidden)
            let output = try backend.makeTensor(rows: rows, columns: MixtureTests.hidden)
            input.floats.update(from: x, count: x.count)
            backend.mixture(.plain(input), mixture, into: output)
            return values(output)
        }

        static func activate(_ f: Activation, gate: Double, up: Double?) -> Double {
            switch f {
            case .swigluClamped(let alpha, let limit):
                let g = min(gate, Double(limit)), u = max(-Double(limit), min(Double(limit), up ?? 0))
                return (u + 1) * g / (1 + exp(-Double(alpha) * g))
            case .relu: return max(gate, 0) * (up ?? 1)
            default: return gate / (1 + exp(-gate)) * (up ?? 1)
            }
        }

        func expert(_ gateUp: TestMatrix, _ down: TestMatrix, _ f: Activation, isGated: Bool, _ x: [Double]) -> [Double] {
            let inner = gateUp.times(x), width = down.inputs
            return down.times((0..<width).map { Self.activate(f, gate: inner[$0], up: isGated ? inner[width + $0] : nil) })
        }

        func reference(_ row: ArraySlice<Float>) -> [Double] {
            let x = row.map(Double.init), routing = mixture.routing
            var y = [Double](repeating: 0, count: x.count)
            func add(_ other: [Double], _ weight: Double) { for index in y.indices { y[index] += weight * other[index] } }
            for (index, weight) in referenceRouting(routing, router.times(x), correction: correction) {
                let input = routing.weightsInput ? x.map { $0 * weight } : x
                add(expert(gateUp[index], down[index], mixture.activation, isGated: mixture.isGated, input), routing.weightsInput ? 1 : weight)
            }
            if mixture.shared != nil {
                add(expert(sharedGateUp, sharedDown, .silu, isGated: true, x), 1 / (1 + exp(-sharedGate.times(x)[0])))
            }
            return y
        }

        func expectReference(_ x: [Float], tolerance: Double = 1e-5, _ what: Comment) throws {
            let y = try run(x), hidden = MixtureTests.hidden
            for row in 0..<x.count / hidden {
                let expected = reference(x[row * hidden..<(row + 1) * hidden])
                let size = expected.reduce(0) { max($0, abs($1)) }
                for column in 0..<hidden {
                    #expect(abs(Double(y[row * hidden + column]) - expected[column]) <= tolerance * max(size, 1), what)
                }
            }
        }
    }

    static func spec(_ experts: Int, _ chosen: Int, _ scoring: RoutingSpec.Scoring, _ change: (inout RoutingSpec) -> Void = { _ in }) -> RoutingSpec {
        var spec = RoutingSpec(experts: experts, chosen: chosen, scoring: scoring)
        change(&spec)
        return spec
    }

    static let routings: [RoutingSpec] = [
        spec(8, 2, .softmax) { $0.normalises = true },
        spec(5, 3, .softmax) { $0.scale = 2.5 },
        spec(8, 4, .softmaxOfChosen),
        spec(16, 2, .sparseMixer(jitter: 0.01)),
        spec(16, 2, .sparseMixer(jitter: 0.3)),
        spec(4, 1, .sigmoid) { $0.weightsInput = true },
        spec(16, 4, .softmax) {
            $0.groups = .init(count: 4, chosen: 2, score: .best)
            $0.scale = 16
        },
        spec(16, 3, .sigmoid) {
            $0.groups = .init(count: 4, chosen: 2, score: .sumOfTwoBest)
            $0.normalises = true
            $0.normaliserOffset = 1e-20
            $0.scale = 2.5
        },
    ]

    @Test(arguments: routings)
    func matchesTheReference(_ routing: RoutingSpec) throws {
        for (tokens, shared, corrected) in [(1, false, false), (3, true, false), (37, true, true), (64, false, true)] {
            if corrected, case .sparseMixer = routing.scoring { continue }
            let layer = try Layer(routing, biases: shared, corrected: corrected, shared: shared, seed: UInt64(tokens))
            var numbers = Numbers(99)
            try layer.expectReference(numbers.floats(tokens * Self.hidden), "\(routing) \(tokens) tokens")
        }
    }

    @Test func expertsWithoutGateAndWithClamping() throws {
        var numbers = Numbers(5)
        let x = numbers.floats(11 * Self.hidden, scale: 8), routing = Self.spec(6, 2, .softmaxOfChosen)
        try Layer(routing, activation: .relu, isGated: false, biases: true).expectReference(x, "without gate")
        try Layer(routing, activation: .swigluClamped(alpha: 1.702, limit: 7), biases: true).expectReference(x, "clamped")
        try Layer(routing, biases: true, storage: .bf16, precision: .float32).expectReference(x, "bfloat16 weights, float32 activations")
        try Layer(routing, biases: true, storage: .bf16).expectReference(x, tolerance: 2e-2, "bfloat16")
        try Layer(routing, biases: true, storage: .q8_0).expectReference(x, tolerance: 2e-2, "blocks of 8 bits")
        for shared in [false, true] {
            let weighsInput = Self.spec(6, 2, .sigmoid) { $0.weightsInput = shared }
            try Layer(weighsInput, shared: shared, storage: .reordered).expectReference(x, tolerance: 2e-2, "reordered")
            try Layer(weighsInput, shared: shared, storage: .reordered, precision: .float32).expectReference(x, "reordered, float32")
        }
    }

    /// A token's bits do not depend on the batch, the place in it, the number of threads, nor on how the work was cut.
    @Test(arguments: [Storage.f32, .bf16, .q8_0, .reordered])
    func batchesDoNotChangeBits(_ storage: Storage) throws {
        for routing in Self.routings {
            let layer = try Layer(routing, biases: true, shared: true, storage: storage)
            let alone = try Layer(routing, biases: true, shared: true, storage: storage, threads: 1)
            var numbers = Numbers(3)
            let tokens = 61, x = numbers.floats(tokens * Self.hidden, scale: 2), whole = try layer.run(x)
            for size in [1, 2, 7] {
                for first in stride(from: 0, to: tokens - size, by: 5) {
                    let range = first * Self.hidden..<(first + size) * Self.hidden
                    let part = try alone.run(Array(x[range]))
                    #expect(part.map(\.bitPattern) == whole[range].map(\.bitPattern), "\(routing) \(size) tokens from \(first)")
                }
            }
        }
    }

    @Test func normsBeforeTheRouter() throws {
        let layer = try Layer(Self.routings[0], shared: true), backend = layer.backend
        var numbers = Numbers(21)
        let x = try backend.makeTensor(rows: 5, columns: Self.hidden), y = try backend.makeTensor(rows: 5, columns: Self.hidden)
        let normed = try backend.makeTensor(rows: 5, columns: Self.hidden)
        x.floats.update(from: numbers.floats(5 * Self.hidden), count: 5 * Self.hidden)
        let norm = Norm(.rms(offset: 0), epsilon: 1e-5, weight: try backend.makeVector(numbers.floats(Self.hidden)))
        backend.norm(x, norm, into: normed)
        let expected = try layer.run(values(normed))
        backend.mixture(.normed(x, norm), layer.mixture, into: y)
        #expect(values(y).map(\.bitPattern) == expected.map(\.bitPattern))
    }

    /// Among equal scores the lowest expert wins, and NaN logits choose some experts rather than none.
    @Test func tiesAndNaN() throws {
        for routing in Self.routings {
            // The input is 0, so all logits are equal and only the experts' biases are left.
            let layer = try Layer(routing, biases: true, routerBias: false)
            try layer.expectReference([Float](repeating: 0, count: Self.hidden), "\(routing)")
        }
        for routing in Self.routings {
            let layer = try Layer(routing, corrected: routing.scoring != .sparseMixer(jitter: 0.01) && routing.scoring != .sparseMixer(jitter: 0.3))
            var numbers = Numbers(4)
            let good = numbers.floats(Self.hidden)
            let y = try layer.run(good + [Float](repeating: .nan, count: Self.hidden) + good)
            #expect(y[..<Self.hidden].map(\.bitPattern) == y[(2 * Self.hidden)...].map(\.bitPattern))
            #expect(y[Self.hidden..<2 * Self.hidden].allSatisfy { $0.isNaN })
        }
    }

    @Test func allocatesNothingWhenWarm() throws {
        let layer = try Layer(Self.routings[7], biases: true, corrected: true, shared: true, storage: .bf16, threads: 1)
        var numbers = Numbers(6)
        let x = try layer.backend.makeTensor(rows: 16, columns: Self.hidden), y = try layer.backend.makeTensor(rows: 16, columns: Self.hidden)
        x.floats.update(from: numbers.floats(16 * Self.hidden), count: 16 * Self.hidden)
        for _ in 0..<3 { layer.backend.mixture(.plain(x), layer.mixture, into: y) }
        let before = allocation_count()
        for _ in 0..<10 { layer.backend.mixture(.plain(x), layer.mixture, into: y) }
        let after = allocation_count()
        #expect(after == before)
    }

    @Test func refusesWhatDoesNotFit() throws {
        let layer = try Layer(Self.routings[0])
        let m = layer.mixture
        #expect(throws: BackendError.self) {
            try Mixture(router: m.router, routing: Self.spec(9, 2, .softmax), gateUp: m.gateUp, down: m.down, activation: .silu)
        }
        #expect(throws: BackendError.self) { try Mixture(router: m.router, routing: m.routing, gateUp: m.down, down: m.gateUp, activation: .silu) }
        #expect(throws: BackendError.self) {
            try Mixture(router: m.router, routing: m.routing, gateUp: m.gateUp, down: m.down, activation: .silu, isGated: false)
        }
        #expect(throws: BackendError.self) { try Self.spec(4, 5, .softmax).validate() }
        #expect(throws: BackendError.self) { try Self.spec(0, 0, .softmax).validate() }
        #expect(throws: BackendError.self) { try Self.spec(8, 2, .sigmoid) { $0.groups = .init(count: 3, chosen: 1, score: .best) }.validate() }
        #expect(throws: BackendError.self) { try Self.spec(8, 3, .sigmoid) { $0.groups = .init(count: 4, chosen: 1, score: .best) }.validate() }
    }
}
