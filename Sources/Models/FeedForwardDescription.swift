package import Compute

/// A dense feed-forward part: `down(f(gate(x)) * up(x))`, or `down(f(up(x)))`.
package struct MLPDescription: Sendable, Equatable {
    package enum Form: Sendable, Equatable {
        /// Tensors `gate`, `up` and `down`.
        case gated
        /// Tensors `gateUp`, `[gate; up]`, and `down`.
        case gatedFused
        /// Tensors `up`, `[gate; up]`, and `down` (GGUF).
        case gatedStackedUp
        /// Tensors `up` and `down`.
        case plain
    }

    package var intermediateSize: Int
    package var activation: Activation
    package var form = Form.gated
    package var bias = Bias.none

    package init(intermediateSize: Int, activation: Activation, form: Form = .gated, bias: Bias = .none) {
        self.intermediateSize = intermediateSize
        self.activation = activation
        self.form = form
        self.bias = bias
    }

    package var isGated: Bool { form != .plain }
}

/// A mixture of experts: a router picks a few gated MLPs for each token.
package struct MixtureDescription: Sendable, Equatable {
    /// How the experts' weights lie in the checkpoint. Names are relative to the layer.
    package enum Layout: Sendable, Equatable {
        /// A module for each expert, `prefix.N.gate` and so on.
        case separate(prefix: String, gate: String, up: String, down: String)
        /// Tensors `[experts, 2 * intermediate, hidden]` (gate rows, then up rows) and `[experts, hidden, intermediate]`.
        case stacked(gateUp: String, down: String)
        /// Modules whose weights are `[experts, intermediate, hidden]` for gate and up, `[experts, hidden, intermediate]` for down (GGUF).
        case stackedSeparate(gate: String, up: String, down: String)
        /// gpt-oss: `[experts, hidden, 2 * intermediate]` with gate and up columns alternating, `[experts, intermediate, hidden]`; or the
        /// same as MXFP4 `…_blocks` and `…_scales`, transposed. Biases `…_bias`.
        case alternating(gateUp: String, down: String)
    }

    package var experts: Int
    package var intermediateSize: Int
    package var activation: Activation
    package var routing: RoutingSpec
    package var layout: Layout
    /// Module of the router, `[experts, hidden]`.
    package var router: String
    package var routerBias = Bias.none
    /// Tensor of the bias that is added to scores for the choice alone.
    package var correctionBias: String?
    package var expertBias = Bias.none
    /// An expert that every token goes through.
    package var shared: SharedExpertDescription?

    package init(experts: Int, intermediateSize: Int, activation: Activation, routing: RoutingSpec, layout: Layout, router: String) {
        self.experts = experts
        self.intermediateSize = intermediateSize
        self.activation = activation
        self.routing = routing
        self.layout = layout
        self.router = router
    }
}

package struct SharedExpertDescription: Sendable, Equatable {
    package var mlp: MLPDescription
    /// Module that holds the three parts.
    package var module: String
    package var names: Names
    /// Module `[1, hidden]` whose sigmoid multiplies the shared expert's output.
    package var gate: String?

    package struct Names: Sendable, Equatable {
        package var gate = "gate_proj"
        package var up = "up_proj"
        package var gateUp = "gate_up_proj"
        package var down = "down_proj"

        package init() {}

        /// Granite's `shared_mlp`.
        package static let granite: Names = {
            var names = Names()
            names.gateUp = "input_linear"
            names.down = "output_linear"
            return names
        }()
    }

    package init(_ mlp: MLPDescription, module: String, gate: String? = nil, names: Names = Names()) {
        self.mlp = mlp
        self.module = module
        self.gate = gate
        self.names = names
    }
}

/// Whether a linear layer has a bias.
package enum Bias: Sendable, Equatable {
    case none
    /// Missing is an error.
    case required
    /// Taken where the checkpoint has one (GGUF says it by the tensor alone).
    case ifPresent

    package init(_ isThere: Bool) { self = isThere ? .required : .none }
}
