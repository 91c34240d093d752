import Compute
import Tensors
import Weights

extension DecoderLoader {
    func feedForward(_ scope: WeightScope, _ feedForward: FeedForward) throws -> BlockFeedForward {
        switch feedForward {
        case .dense(let mlp):
            .dense(try self.mlp(scope, mlp, gate: names.gate, up: names.up, gateUp: names.gateUp, down: names.down))
        case .mixture(let mixture): .mixture(try self.mixture(scope, mixture))
        }
    }

    private func mlp(_ scope: WeightScope, _ mlp: MLPDescription, gate: String, up: String, gateUp: String, down: String) throws -> BlockMLP {
        let hidden = description.hiddenSize, inner = mlp.intermediateSize
        let parts: [(String, Int)] =
            switch mlp.form {
            case .gated: [(gate, inner), (up, inner)]
            case .gatedFused: [(gateUp, 2 * inner)]
            case .gatedStackedUp: [(up, 2 * inner)]
            case .plain: [(up, inner)]
            }
        return BlockMLP(
            up: try linear(scope, parts, inputs: hidden, bias: mlp.bias), activation: mlp.activation, isGated: mlp.isGated,
            down: try linear(scope, [(down, hidden)], inputs: inner, bias: mlp.bias))
    }

    private func mixture(_ scope: WeightScope, _ mixture: MixtureDescription) throws -> Mixture {
        let hidden = description.hiddenSize
        let experts = try experts(scope, mixture)
        let correction = try mixture.correctionBias.map { try backend.makeVector(try scope.parameters($0, shape: [mixture.experts])) }
        return try Mixture(
            router: try linear(scope, [(mixture.router, mixture.experts)], inputs: hidden, bias: mixture.routerBias, isTransposed: false),
            routing: mixture.routing, correctionBias: correction, gateUp: experts.gateUp, down: experts.down, activation: mixture.activation,
            shared: try mixture.shared.map { try sharedExpert(scope, $0) })
    }

    private func sharedExpert(_ scope: WeightScope, _ shared: SharedExpertDescription) throws -> SharedExpert {
        let mlp = try mlp(scope[shared.module], shared.mlp, gate: shared.names.gate, up: shared.names.up, gateUp: shared.names.gateUp, down: shared.names.down)
        let gate = try shared.gate.map { try linear(scope, [($0, 1)], inputs: description.hiddenSize, bias: .none) }
        return SharedExpert(gateUp: mlp.up, down: mlp.down, activation: mlp.activation, isGated: mlp.isGated, gate: gate)
    }

    private func experts(_ scope: WeightScope, _ mixture: MixtureDescription) throws -> (gateUp: [Matrix], down: [Matrix]) {
        let hidden = description.hiddenSize, inner = mixture.intermediateSize, count = mixture.experts
        var gateUp: [Matrix] = [], down: [Matrix] = []
        switch mixture.layout {
        case .separate(let prefix, let gate, let up, let downName):
            for expert in 0..<count {
                let scope = scope[prefix][expert]
                gateUp.append(try linear(scope, [(gate, inner), (up, inner)], inputs: hidden, bias: mixture.expertBias))
                down.append(try linear(scope, [(downName, hidden)], inputs: inner, bias: mixture.expertBias))
            }
        case .stacked(let gateUpName, let downName):
            let first = try scope.weights(gateUpName, shape: [count, 2 * inner, hidden])
            let second = try scope.weights(downName, shape: [count, hidden, inner])
            for expert in 0..<count {
                gateUp.append(try backend.makeMatrix([try first[row: expert]], biases: []))
                down.append(try backend.makeMatrix([try second[row: expert]], biases: []))
            }
        case .stackedSeparate(let gate, let up, let downName):
            let gates = try scope.weights(gate + ".weight", shape: [count, inner, hidden])
            let ups = try scope.weights(up + ".weight", shape: [count, inner, hidden])
            let second = try scope.weights(downName + ".weight", shape: [count, hidden, inner])
            let biases = try [(gate, inner), (up, inner), (downName, hidden)].map { name, size in
                mixture.expertBias == .none ? nil : try scope.optionalParameters(name + ".bias", shape: [count, size])
            }
            for expert in 0..<count {
                let bias = try biases.map { try $0?[row: expert] }
                gateUp.append(try backend.makeMatrix([try gates[row: expert], try ups[row: expert]], biases: [bias[0], bias[1]]))
                down.append(try backend.makeMatrix([try second[row: expert]], biases: [bias[2]]))
            }
        case .alternating(let gateUpName, let downName):
            let first = try alternating(scope, gateUpName, count: count, outputs: 2 * inner, inputs: hidden)
            let second = try alternating(scope, downName, count: count, outputs: hidden, inputs: inner)
            let firstBias = try scope.parameters(gateUpName + "_bias", shape: [count, 2 * inner])
            let secondBias = try scope.parameters(downName + "_bias", shape: [count, hidden])
            // Gate rows first, then up rows.
            let order = Array(stride(from: 0, to: 2 * inner, by: 2)) + Array(stride(from: 1, to: 2 * inner, by: 2))
            for expert in 0..<count {
                gateUp.append(
                    try backend.makeMatrix([try first(expert).rows(order)], biases: [try firstBias[row: expert].gatheringElements(order)]))
                down.append(try backend.makeMatrix([try second(expert)], biases: [try secondBias[row: expert]]))
            }
        }
        return (gateUp, down)
    }

    /// gpt-oss's experts of one projection: MXFP4, or plain and `[experts, inputs, outputs]`.
    private func alternating(
        _ scope: WeightScope, _ name: String, count: Int, outputs: Int, inputs: Int
    ) throws -> (Int) throws -> StoredWeight {
        if scope.contains(name + "_blocks") {
            let experts = try scope.mxfp4Experts(name, count: count, outputs: outputs, inputs: inputs)
            return { experts[$0] }
        }
        let tensor = try scope.weights(name, shape: [count, inputs, outputs])
        return { .dense(try tensor[row: $0].transposed()) }
    }
}
