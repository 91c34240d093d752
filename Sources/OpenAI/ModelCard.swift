package import JSON

/// One entry of `GET /v1/models`.
package struct ModelCard: Sendable, Equatable {
    package var id: String
    package var created: Int
    /// The checkpoint behind the name.
    package var root: String
    /// The base model of an adapter.
    package var parent: String?
    package var maxModelLength: Int?

    package init(id: String, created: Int, root: String, parent: String? = nil, maxModelLength: Int?) {
        self.id = id
        self.created = created
        self.root = root
        self.parent = parent
        self.maxModelLength = maxModelLength
    }

    package func write(into writer: inout JSONWriter) {
        writer.raw("{\"id\":")
        writer.string(id)
        writer.raw(",\"object\":\"model\",\"created\":")
        writer.int(created)
        writer.raw(",\"owned_by\":\"needletail\",\"root\":")
        writer.string(root)
        writer.raw(",\"parent\":")
        writer.optional(parent)
        writer.raw(",\"max_model_len\":")
        if let length = maxModelLength { writer.int(length) } else { writer.raw("null") }
        writer.raw(",\"permission\":[]}")
    }

    package static func list(_ cards: [ModelCard], into writer: inout JSONWriter) {
        writer.raw("{\"object\":\"list\",\"data\":[")
        for (index, card) in cards.enumerated() {
            if index > 0 { writer.raw(",") }
            card.write(into: &writer)
        }
        writer.raw("]}")
    }
}
