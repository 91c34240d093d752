/// A weight matrix `[outputs, inputs]` in a backend's own form, with an optional bias. Made by a backend, used with that backend only.
package final class Matrix {
    /// Rows of the stored weight: columns of the product.
    package let outputs: Int
    /// Columns of the stored weight.
    package let inputs: Int
    /// What the backend keeps of it.
    package let storage: AnyObject
    /// The checkpoint's modules that it is made of, in the order of their columns; adapters (LoRA) find their place by them. Empty where
    /// no adapter can attach.
    package var modules: [MatrixModule] = []

    package init(outputs: Int, inputs: Int, storage: AnyObject) {
        self.outputs = outputs
        self.inputs = inputs
        self.storage = storage
    }
}

/// A linear module of a checkpoint inside a matrix.
package struct MatrixModule: Sendable, Equatable {
    /// As on the hub, without ".weight": "model.layers.0.self_attn.q_proj".
    package var name: String
    /// Where its outputs begin among the matrix's.
    package var firstColumn: Int
    package var outputs: Int
    /// `[outputs]`: which output of the checkpoint's module each of these is, where loading reordered them (fused projections stored head
    /// by head, rotary pairs); nil where it did not.
    package var outputOrder: [Int32]?

    package init(name: String, firstColumn: Int, outputs: Int, outputOrder: [Int32]? = nil) {
        self.name = name
        self.firstColumn = firstColumn
        self.outputs = outputs
        self.outputOrder = outputOrder
    }
}

/// One weight matrix `[outputs, inputs]` for each head of an attention layer. Made by a backend, used with that backend only.
package final class HeadMatrices {
    package let heads: Int
    package let outputs: Int
    package let inputs: Int
    package let storage: AnyObject

    package init(heads: Int, outputs: Int, inputs: Int, storage: AnyObject) {
        self.heads = heads
        self.outputs = outputs
        self.inputs = inputs
        self.storage = storage
    }
}

/// A table of embeddings `[rows, columns]`, looked up by row.
package final class EmbeddingTable {
    package let rows: Int
    package let columns: Int
    package let storage: AnyObject

    package init(rows: Int, columns: Int, storage: AnyObject) {
        self.rows = rows
        self.columns = columns
        self.storage = storage
    }
}

/// A short vector of float32 parameters (a norm's weight, a bias) in a backend's memory.
package final class Vector {
    package let count: Int
    package let storage: AnyObject

    package init(count: Int, storage: AnyObject) {
        self.count = count
        self.storage = storage
    }
}
