/// A weight matrix `[outputs, inputs]` in a backend's own form, with an optional bias. Made by a backend, used with that backend only.
package class Matrix {
    /// Rows of the stored weight: columns of the product.
    package let outputs: Int
    /// Columns of the stored weight.
    package let inputs: Int

    package init(outputs: Int, inputs: Int) {
        self.outputs = outputs
        self.inputs = inputs
    }
}

/// A table of embeddings `[rows, columns]`, looked up by row.
package class EmbeddingTable {
    package let rows: Int
    package let columns: Int

    package init(rows: Int, columns: Int) {
        self.rows = rows
        self.columns = columns
    }
}

/// A short vector of float32 parameters (a norm's weight, a bias) in a backend's memory.
package class Vector {
    package let count: Int

    package init(count: Int) { self.count = count }
}
