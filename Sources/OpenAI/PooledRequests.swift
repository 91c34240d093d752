internal import JSON

/// The body of `POST /v1/embeddings`.
package struct EmbeddingRequest: Sendable {
    package var fields: PooledFields
    package var inputs: [PooledInput]
    /// Columns to keep of each embedding (Matryoshka).
    package var dimensions: Int?
    /// Name of the model's text that goes in front of each input.
    package var promptName: String?

    package init(body bytes: [UInt8]) throws(APIError) {
        let body = try Fields(body: bytes)
        fields = try PooledFields(body)
        inputs = try PooledInput.list(body)
        dimensions = try body.int("dimensions")
        promptName = try body.string("prompt_name")
        if let dimensions, dimensions < 1 {
            throw .invalid("Dimensions must be greater than 0", parameter: "dimensions", value: String(dimensions))
        }
    }
}

/// The body of `POST /classify`.
package struct ClassifyRequest: Sendable {
    package var fields: PooledFields
    package var inputs: [PooledInput]

    package init(body bytes: [UInt8]) throws(APIError) {
        let body = try Fields(body: bytes)
        fields = try PooledFields(body)
        inputs = try PooledInput.list(body)
    }
}

/// The body of `POST /pooling`.
package struct PoolRequest: Sendable {
    package enum Task: String, Sendable, CaseIterable {
        case embed, classify
        case tokenEmbed = "token_embed"
        case tokenClassify = "token_classify"

        package var isClassification: Bool { self == .classify || self == .tokenClassify }
        package var isTokenwise: Bool { self == .tokenEmbed || self == .tokenClassify }
    }

    package var fields: PooledFields
    package var inputs: [PooledInput]
    /// nil is the rows of all tokens, of the kind that the model gives.
    package var task: Task?
    package var dimensions: Int?

    package init(body bytes: [UInt8]) throws(APIError) {
        let body = try Fields(body: bytes)
        fields = try PooledFields(body)
        inputs = try PooledInput.list(body)
        dimensions = try body.int("dimensions")
        if let dimensions, dimensions < 1 {
            throw .invalid("Dimensions must be greater than 0", parameter: "dimensions", value: String(dimensions))
        }
        guard let name = try body.string("task") else { return }
        guard let task = Task(rawValue: name) else {
            throw .invalid("task must be one of \(Task.allCases.map(\.rawValue).joined(separator: ", "))", parameter: "task", value: name)
        }
        self.task = task
    }
}

/// The body of `POST /score`: one text against many, or as many as there are.
package struct ScoreRequest: Sendable {
    package var fields: PooledFields
    package var queries: [String]
    package var documents: [String]

    private static let names = [("queries", "documents"), ("text_1", "text_2"), ("data_1", "data_2"), ("queries", "items")]

    package init(body bytes: [UInt8]) throws(APIError) {
        let body = try Fields(body: bytes)
        fields = try PooledFields(body)
        try body.refuse(["instruction", "max_tokens_per_query", "max_tokens_per_doc"])
        var names = ("text_1", "text_2")
        for pair in Self.names where body[pair.0] != nil && body[pair.1] != nil { names = pair }
        guard let queries = try body.strings(names.0) else { throw body.missing(names.0) }
        guard let documents = try body.strings(names.1) else { throw body.missing(names.1) }
        guard !queries.isEmpty else { throw .invalid("At least one text element must be given", parameter: names.0, value: "[]") }
        guard !documents.isEmpty else { throw .invalid("At least one text_pair element must be given", parameter: names.1, value: "[]") }
        guard queries.count == 1 || queries.count == documents.count else {
            throw .invalid("Input lengths must be either 1:1, 1:N or N:N", parameter: names.1, value: String(documents.count))
        }
        self.queries = queries
        self.documents = documents
    }
}

/// The body of `POST /rerank`.
package struct RerankRequest: Sendable {
    package var fields: PooledFields
    package var query: String
    package var documents: [String]
    /// Best documents to return; all by default.
    package var count: Int

    package init(body bytes: [UInt8]) throws(APIError) {
        let body = try Fields(body: bytes)
        fields = try PooledFields(body)
        try body.refuse(["instruction"])
        for name in ["max_tokens_per_doc", "max_tokens_per_query"] {
            if let limit = try body.int(name), limit > 0 { throw .unsupported(name) }
        }
        guard let query = try body.string("query") else { throw body.missing("query") }
        guard let elements = try body.array("documents") else { throw body.missing("documents") }
        guard !elements.isEmpty else { throw .invalid("At least one document must be given", parameter: "documents", value: "[]") }
        self.query = query
        documents = []
        for (index, element) in elements.enumerated() {
            guard let text = element.string ?? element["text"]?.string else {
                let path = "\(body.path(of: "documents")).\(index)"
                throw .malformed("\(path) must be a string or an object with 'text', not \(element.kind)", at: path)
            }
            documents.append(text)
        }
        let top = try body.int("top_n") ?? 0
        guard top >= 0 else { throw .invalid("top_n must be at least 0", parameter: "top_n", value: String(top)) }
        count = top == 0 ? documents.count : min(top, documents.count)
    }
}
