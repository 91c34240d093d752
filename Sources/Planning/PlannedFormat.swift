/// A form that weights could be brought into, for "what if".
package struct PlannedFormat: Sendable, Equatable {
    package var name: String
    /// Bits a weight takes in memory, scales included.
    package var bits: Double
    /// What the products run in on a GPU.
    package var arithmetic: Arithmetic

    package static let all: [PlannedFormat] = [
        .init("q8_0", 8.5), .init("q6_k", 6.5625), .init("q5_k", 5.7), .init("q5_1", 6), .init("q5_0", 5.5), .init("q4_k", 4.85), .init("q4_1", 5),
        .init("q4_0", 4.5), .init("iq4_nl", 4.5), .init("q3_k", 3.9), .init("q2_k", 3.2), .init("mxfp4", 4.25), .init("awq", 4.5), .init("gptq", 4.25),
        .init("w4a16", 4.25), .init("int8", 8.03, .int8), .init("fp8", 8.03, .float8),
    ]

    init(_ name: String, _ bits: Double, _ arithmetic: Arithmetic = .half) {
        self.name = name
        self.bits = bits
        self.arithmetic = arithmetic
    }

    package static func named(_ name: String) throws(PlanError) -> PlannedFormat {
        if let found = all.first(where: { $0.name == name.lowercased() }) { return found }
        throw PlanError("there is no format '\(name)'; known are \(all.map(\.name).joined(separator: ", "))")
    }
}
