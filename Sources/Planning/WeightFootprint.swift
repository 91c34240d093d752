import Compute
package import Models
import Tensors
package import Weights

/// What a checkpoint's weights take of memory, and what of them a token needs, out of its tables of contents alone.
package struct WeightFootprint: Sendable, Equatable {
    /// Bytes of all tensors that the model takes.
    package var byteCount = 0
    /// Matrices that every token is multiplied with, the output head included.
    package var shared = Part()
    /// The output head's share of `shared`: a prompt's tokens but the last do not meet it.
    package var head = Part()
    /// Matrices of all routed experts; a token meets `activeExperts` of `expertCount`.
    package var experts = Part()
    /// The embedding where it is only looked up, norms, biases and other small parameters.
    package var rest = Part()
    package var expertCount = 0
    package var activeExperts = 0
    /// Bytes by element type of the matrices, largest first.
    package var types: [TypeBytes] = []
    /// In what the products run.
    package var arithmetic = Arithmetic.half

    package struct Part: Sendable, Equatable {
        package var byteCount = 0
        package var parameterCount = 0

        package init(byteCount: Int = 0, parameterCount: Int = 0) {
            self.byteCount = byteCount
            self.parameterCount = parameterCount
        }
    }

    package struct TypeBytes: Sendable, Equatable {
        package var name: String
        package var byteCount: Int
    }

    package var parameterCount: Int { shared.parameterCount + experts.parameterCount + rest.parameterCount }

    /// Parameters that one token is multiplied with.
    package var activeParameterCount: Double { Double(shared.parameterCount) + Double(experts.parameterCount) * activeShare(tokens: 1) }

    /// Bytes that a step of `tokens` tokens reads: of the experts those that at least one token is routed to, were the choice even.
    package func bytesRead(tokens: Int) -> Double { Double(shared.byteCount) + Double(experts.byteCount) * activeShare(tokens: tokens) }

    private func activeShare(tokens: Int) -> Double {
        guard expertCount > 0 else { return 1 }
        let missed = 1 - Double(min(activeExperts, expertCount)) / Double(expertCount)
        var all = 1.0
        for _ in 0..<min(tokens, 4096) { all *= missed }
        return 1 - all
    }

    package init() {}

    package init(_ source: ModelSource) throws(LoadError) {
        let checkpoint = source.checkpoint, description = source.description
        let ignored = description.ignoredTensors.map(NamePattern.init)
        let stored = try QuantisedStorage(checkpoint)
        for layer in description.layers {
            guard case .mixture(let mixture) = layer.feedForward else { continue }
            (expertCount, activeExperts) = (mixture.experts, mixture.routing.chosen)
            break
        }
        let root = description.names.root, table = (root.isEmpty ? "" : root + ".") + description.names.embedding + "."
        let headName = description.names.head + "."
        arithmetic = stored.arithmetic
        var byType: [String: Int] = [:]
        for name in checkpoint.names where !ignored.contains(where: { $0.matches(name) }) {
            guard let record = checkpoint.record(name) else { continue }
            let isEmbedding = name.utf8.starts(with: table.utf8), isHead = name.utf8.starts(with: headName.utf8)
            if isHead, description.tiesEmbeddings { continue }
            let part = Part(byteCount: stored.bytesInMemory(name, record), parameterCount: stored.parameters(name, record))
            byteCount += part.byteCount
            if (isEmbedding && !description.tiesEmbeddings) || !stored.isMatrix(name, record) {
                rest.add(part)
            } else if Self.isExpert(name) {
                experts.add(part)
            } else {
                shared.add(part)
                if isHead || isEmbedding { head.add(part) }
            }
            byType[stored.typeName(name, record), default: 0] += part.byteCount
        }
        types = byType.map { TypeBytes(name: $0.key, byteCount: $0.value) }.sorted { ($0.byteCount, $1.name) > ($1.byteCount, $0.name) }
    }

    /// Routed experts' matrices in the hub's namings; shared experts are not among them.
    static func isExpert(_ name: String) -> Bool {
        name.contains(".experts.") || name.contains("block_sparse_moe.input_linear")
            || name.contains("block_sparse_moe.output_linear")
    }

    /// The same model with its linear layers (not embedding, head and small parameters) stored with `bits` bits a weight.
    package func quantised(bits: Double, name: String, arithmetic: Arithmetic) -> WeightFootprint {
        var copy = self
        let layers = Part(byteCount: shared.byteCount - head.byteCount, parameterCount: shared.parameterCount - head.parameterCount)
        let layerBytes = Int(Double(layers.parameterCount) * bits / 8), expertBytes = Int(Double(experts.parameterCount) * bits / 8)
        copy.shared.byteCount = head.byteCount + layerBytes
        copy.experts.byteCount = expertBytes
        copy.byteCount = copy.shared.byteCount + expertBytes + rest.byteCount
        copy.types = [TypeBytes(name: name, byteCount: layerBytes + expertBytes), TypeBytes(name: "as stored", byteCount: head.byteCount + rest.byteCount)]
        copy.arithmetic = arithmetic
        return copy
    }
}

extension WeightFootprint.Part {
    mutating func add(_ other: Self) {
        // Sums of what fits in files; saturating, because a header may claim anything.
        byteCount = byteCount.addingReportingOverflow(other.byteCount).overflow ? .max : byteCount + other.byteCount
        parameterCount = parameterCount.addingReportingOverflow(other.parameterCount).overflow ? .max : parameterCount + other.parameterCount
    }
}
