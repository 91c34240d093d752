/// What a model may run on, as far as planning needs to know: how much it holds, how fast it reads and how fast it multiplies.
package struct Device: Sendable, Equatable {
    /// As written on the command line: `h100`.
    package var name: String
    package var memoryByteCount: Int
    /// Bytes a second.
    package var memoryBandwidth: Double
    /// Operations a second of dense products, counting a multiplication and an addition as two: 16-bit floats, FP8, 8-bit integers. nil where
    /// the device has no such units (products of that type then run in 16 bits).
    package var half: Double
    package var float8: Double?
    package var int8: Double?
    /// Share of the memory that weights, cache and work space may take together.
    package var usableShare = 0.9

    package var usableByteCount: Int { Int(Double(memoryByteCount) * usableShare) }

    package init(
        _ name: String, memoryByteCount: Int, memoryBandwidth: Double, half: Double, float8: Double? = nil, int8: Double? = nil, usableShare: Double = 0.9
    ) {
        self.name = name
        self.memoryByteCount = memoryByteCount
        self.memoryBandwidth = memoryBandwidth
        self.half = half
        self.float8 = float8
        self.int8 = int8
        self.usableShare = usableShare
    }

    /// Operations a second for activations of that kind.
    package func rate(_ arithmetic: Arithmetic) -> Double {
        switch arithmetic {
        case .half: half
        case .float8: float8 ?? half
        case .int8: int8 ?? half
        }
    }
}

/// In what the matrix products of a model are computed.
package enum Arithmetic: String, Sendable {
    case half, float8, int8

    /// "16-bit".
    var text: String {
        switch self {
        case .half: "16-bit"
        case .float8: "FP8"
        case .int8: "INT8"
        }
    }
}

extension Device {
    /// A row of the table: GiB, TB/s, and TFLOP/s (TOP/s) without sparsity.
    private static func gpu(_ name: String, _ memory: Int, _ bandwidth: Double, _ half: Double, fp8: Double? = nil, int8: Double? = nil) -> Device {
        Device(
            name, memoryByteCount: memory << 30, memoryBandwidth: bandwidth * 1e12, half: half * 1e12, float8: fp8.map { $0 * 1e12 },
            int8: int8.map { $0 * 1e12 })
    }

    /// Accelerators by name, with their vendors' data-sheet figures: dense rates, 32-bit accumulation where the sheet tells them apart.
    package static let catalogue: [Device] = [
        gpu("t4", 15, 0.320, 65, int8: 130),
        gpu("v100", 32, 0.900, 125),
        gpu("a10", 24, 0.600, 125, int8: 250),
        gpu("a10g", 24, 0.600, 70, int8: 140),
        gpu("a40", 48, 0.696, 149.7, int8: 299.3),
        gpu("a6000", 48, 0.768, 154.8, int8: 309.7),
        gpu("a100-40", 40, 1.555, 312, int8: 624),
        gpu("a100-80", 80, 2.039, 312, int8: 624),
        gpu("l4", 24, 0.300, 121, fp8: 242, int8: 242),
        gpu("l40s", 48, 0.864, 362, fp8: 733, int8: 733),
        gpu("rtx3090", 24, 0.936, 71, int8: 284),
        gpu("rtx4090", 24, 1.008, 165.2, fp8: 330.3, int8: 660.6),
        gpu("rtx5090", 32, 1.792, 209.5, fp8: 419, int8: 838),
        gpu("rtx6000-ada", 48, 0.960, 364, fp8: 728, int8: 728),
        gpu("rtx-pro-6000", 96, 1.792, 503.8, fp8: 1007.6, int8: 1007.6),
        gpu("h20", 96, 4.0, 148, fp8: 296, int8: 296),
        gpu("h100-pcie", 80, 2.0, 756, fp8: 1513, int8: 1513),
        gpu("h100", 80, 3.35, 989, fp8: 1979, int8: 1979),
        gpu("h200", 140, 4.8, 989, fp8: 1979, int8: 1979),
        gpu("b200", 179, 8.0, 2250, fp8: 4500, int8: 4500),
        gpu("mi300x", 192, 5.3, 1307, fp8: 2615, int8: 2615),
    ]

    /// The device of that name; `a100` and the like are their larger kind.
    package static func named(_ name: String) throws(PlanError) -> Device {
        let wanted = name.lowercased().replacing("_", with: "-")
        let aliases = ["a100": "a100-80", "h100-sxm": "h100", "rtx-a6000": "a6000", "3090": "rtx3090", "4090": "rtx4090", "5090": "rtx5090"]
        if let found = catalogue.first(where: { $0.name == aliases[wanted] ?? wanted }) { return found }
        throw PlanError("there is no device '\(name)'; known are \(catalogue.map(\.name).joined(separator: ", "))")
    }
}

/// Why a plan cannot be made or kept, with advice.
package struct PlanError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
