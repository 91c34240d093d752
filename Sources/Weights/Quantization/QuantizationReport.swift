import Tensors

/// What was found on loading: how many linear layers are stored in which form, and how large they are.
package struct QuantizationReport: Sendable, Equatable {
    package struct Form: Sendable, Hashable {
        /// `AWQ`, `GPTQ`, `FP8`…; the element type's name for plain weights.
        package let name: String
        package let bits: Int
        /// Inputs that share a scale; nil for one scale a row or more.
        package let groupSize: Int?
        package let hasInputOrder: Bool
    }

    package struct Entry: Sendable, Equatable {
        package let form: Form
        package fileprivate(set) var modules: Int
        package fileprivate(set) var byteCount: Int
    }

    /// In order of first appearance.
    package private(set) var entries: [Entry] = []
    /// Schemes of the activations that the checkpoint was made for.
    package private(set) var activations: [String] = []

    package init() {}

    package var isQuantized: Bool { entries.contains { $0.form.bits < 16 } }

    mutating func note(_ weight: StoredWeight, _ settings: ModuleQuantization?) {
        let form: Form
        switch weight {
        case .dense(let view):
            let bits = settings?.bits ?? 8 * view.dtype.bytesPerBlock / view.dtype.blockSize
            form = Form(name: settings?.layout.name ?? view.dtype.description, bits: bits, groupSize: nil, hasInputOrder: false)
        case .grouped(let grouped):
            form = Form(
                name: settings?.layout.name ?? "grouped", bits: grouped.storedBits,
                groupSize: grouped.groupSize < grouped.inputs ? grouped.groupSize : nil, hasInputOrder: grouped.inputOrder != nil)
        }
        if let activations = settings?.activations, !self.activations.contains(activations) { self.activations.append(activations) }
        if let place = entries.firstIndex(where: { $0.form == form }) {
            entries[place].modules += 1
            entries[place].byteCount += weight.byteCount
        } else {
            entries.append(Entry(form: form, modules: 1, byteCount: weight.byteCount))
        }
    }
}

extension QuantizationReport: CustomStringConvertible {
    /// One line: `AWQ 4-bit in groups of 128: 224 layers, 3740 MB; bf16: 1 layer, 262 MB`.
    package var description: String {
        entries.map { entry in
            var text = entry.form.name
            if entry.form.bits < 16, entry.form.name.first?.isUppercase ?? false {
                text += " \(entry.form.bits)-bit"
                if let size = entry.form.groupSize { text += " in groups of \(size)" }
                if entry.form.hasInputOrder { text += ", inputs reordered" }
            }
            return text + ": \(entry.modules) layer\(entry.modules == 1 ? "" : "s"), \((entry.byteCount + 500_000) / 1_000_000) MB"
        }.joined(separator: "; ")
    }
}

extension ModuleQuantization.Layout {
    var name: String {
        switch self {
        case .awqGEMM, .awqGEMV: "AWQ"
        case .gptq: "GPTQ"
        case .packedIntegers: "INT (packed)"
        case .int8: "INT"
        case .float8: "FP8"
        case .nvfp4: "NVFP4"
        case .mxfp4: "MXFP4"
        case .bitsandbytes: "BNB"
        }
    }
}

extension WeightScope {
    /// The linear layers taken so far through all scopes of this tree.
    package var quantizationReport: QuantizationReport { ledger.report }
}
