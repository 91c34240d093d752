#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// What a model gives for a text where it does not predict tokens: an embedding, or the scores of a classifier.
package struct PooledOutput: Sendable, Equatable {
    /// How the rows of a text's tokens become one.
    package enum Pooling: String, Sendable, Equatable {
        case first, last, mean
    }

    package var pooling: Pooling
    /// Columns of a row.
    package var width: Int
    /// What a reader applies to a row unless the request says otherwise.
    package var activation: PooledActivation

    package init(pooling: Pooling, width: Int, activation: PooledActivation) {
        self.pooling = pooling
        self.width = width
        self.activation = activation
    }
}

/// The last step of a pooled row, on the host.
package enum PooledActivation: String, Sendable, Equatable {
    case none
    /// To length 1.
    case normalize
    case softmax, sigmoid

    /// A row of zeros stays one.
    package func apply(to row: inout [Float]) {
        switch self {
        case .none: break
        case .normalize:
            let length = row.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            for index in row.indices { row[index] = Float(Double(row[index]) / max(length, 1e-12)) }
        case .softmax:
            let highest = Double(row.max() ?? 0)
            let weights = row.map { exp(Double($0) - highest) }
            let sum = weights.reduce(0, +)
            for index in row.indices { row[index] = Float(weights[index] / sum) }
        case .sigmoid:
            for index in row.indices { row[index] = Float(1 / (1 + exp(-Double(row[index])))) }
        }
    }
}
