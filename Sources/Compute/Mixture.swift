/// A layer of experts of which each token takes a few: `y = Σ weight[k] * expert[k](x)`, plus an expert that every token takes.
///
/// An expert is `down(f(gate) * up)` of its `gateUp` matrix, or `down(f(up))` where `isGated` is false.
package struct Mixture {
    /// `[experts, hidden]`, with a bias where the family has one.
    package let router: Matrix
    package let routing: RoutingSpec
    /// `[experts]`, added to the scores for the choice only (`e_score_correction_bias`).
    package let correctionBias: Vector?
    /// One per expert: gate and up stacked, `[2 * intermediate, hidden]`; up alone, `[intermediate, hidden]`, without a gate.
    package let gateUp: [Matrix]
    /// One per expert: `[hidden, intermediate]`.
    package let down: [Matrix]
    package let activation: Activation
    package let isGated: Bool
    package let shared: SharedExpert?

    /// - Throws: `BackendError.shapeMismatch` where the matrices do not fit one another or the routing.
    package init(
        router: Matrix, routing: RoutingSpec, correctionBias: Vector? = nil, gateUp: [Matrix], down: [Matrix], activation: Activation,
        isGated: Bool = true, shared: SharedExpert? = nil
    ) throws(BackendError) {
        try routing.validate()
        guard router.outputs == routing.experts, gateUp.count == routing.experts, down.count == routing.experts else {
            throw .shapeMismatch("a router of \(router.outputs) outputs, \(gateUp.count) and \(down.count) matrices for \(routing.experts) experts")
        }
        if let correctionBias, correctionBias.count != routing.experts {
            throw .shapeMismatch("a correction bias of \(correctionBias.count) elements for \(routing.experts) experts")
        }
        let inner = down[0].inputs
        for (first, second) in zip(gateUp, down) {
            try Self.check(first, second, hidden: router.inputs, isGated: isGated)
            guard second.inputs == inner else { throw .shapeMismatch("experts differ in width: \(second.inputs) beside \(inner)") }
        }
        if let shared {
            try Self.check(shared.gateUp, shared.down, hidden: router.inputs, isGated: shared.isGated)
            if let gate = shared.gate, gate.outputs != 1 || gate.inputs != router.inputs {
                throw .shapeMismatch("the shared expert's gate is [\(gate.outputs), \(gate.inputs)], not [1, \(router.inputs)]")
            }
        }
        // Which rows an expert gets changes from token to token: adapters cannot attach here yet.
        for matrix in [router] + gateUp + down + (shared.map { [$0.gateUp, $0.down, $0.gate].compactMap(\.self) } ?? []) { matrix.modules = [] }
        self.router = router
        self.routing = routing
        self.correctionBias = correctionBias
        self.gateUp = gateUp
        self.down = down
        self.activation = activation
        self.isGated = isGated
        self.shared = shared
    }

    package var hidden: Int { router.inputs }
    /// Columns between an expert's two products.
    package var intermediate: Int { down[0].inputs }

    private static func check(_ gateUp: Matrix, _ down: Matrix, hidden: Int, isGated: Bool) throws(BackendError) {
        guard gateUp.inputs == hidden, down.outputs == hidden, gateUp.outputs == down.inputs * (isGated ? 2 : 1) else {
            throw .shapeMismatch(
                "an expert of [\(gateUp.outputs), \(gateUp.inputs)] and [\(down.outputs), \(down.inputs)] does not fit a hidden size of \(hidden)")
        }
    }
}

/// The expert that every token takes beside the chosen ones.
package struct SharedExpert {
    /// As an expert's of `Mixture`, of a width of its own.
    package let gateUp: Matrix
    package let down: Matrix
    package let activation: Activation
    package let isGated: Bool
    /// `[1, hidden]`: the sigmoid of its product with the layer's input multiplies what the expert gives (Qwen2-MoE).
    package let gate: Matrix?

    package init(gateUp: Matrix, down: Matrix, activation: Activation, isGated: Bool = true, gate: Matrix? = nil) {
        self.gateUp = gateUp
        self.down = down
        self.activation = activation
        self.isGated = isGated
        self.gate = gate
    }
}
