package import JSON

/// The server under load and how to ask it.
package struct LoadTarget: Sendable {
    package enum Route: String, Sendable { case completions, chat }

    package var url: String
    package var route: Route
    package var model: String
    package var apiKey: String?
    package var temperature: Double?
    package var ignoresEOS: Bool
    /// Members that are added to each body, or replace its own.
    package var extra: JSONObject

    package init(
        url: String, route: Route, model: String, apiKey: String? = nil, temperature: Double? = 0, ignoresEOS: Bool = false,
        extra: JSONObject = JSONObject()
    ) {
        self.url = url
        self.route = route
        self.model = model
        self.apiKey = apiKey
        self.temperature = temperature
        self.ignoresEOS = ignoresEOS
        self.extra = extra
    }

    /// - Parameter endpoint: `completions`, `chat`, or a path such as `/v1/chat/completions`.
    /// - Throws: `BenchError` for anything else.
    package static func address(base: String, endpoint: String) throws(BenchError) -> (url: String, route: Route) {
        guard base.hasPrefix("http://") || base.hasPrefix("https://") else {
            throw BenchError("--base-url must begin with http:// or https://, not '\(base)'")
        }
        var base = Substring(base)
        while base.hasSuffix("/") { base = base.dropLast() }
        if endpoint.hasPrefix("/") {
            return ("\(base)\(endpoint)", endpoint.hasSuffix("chat/completions") ? .chat : .completions)
        }
        guard let route = Route(rawValue: endpoint) else {
            throw BenchError("--endpoint must be completions, chat or a path that begins with a slash, not '\(endpoint)'")
        }
        return ("\(base)\(base.hasSuffix("/v1") ? "" : "/v1")/\(route == .chat ? "chat/completions" : "completions")", route)
    }

    /// The JSON body of one request.
    package func body(_ prompt: BenchPrompt) -> [UInt8] {
        var body = JSONObject()
        body["model"] = .string(model)
        switch (route, prompt.content) {
        case (.completions, .text(let text)): body["prompt"] = .string(text)
        case (.completions, .tokens(let ids)): body["prompt"] = .array(ids.map { .int(Int($0)) })
        case (.chat, .text(let text)): body["messages"] = [["role": "user", "content": .string(text)]]
        case (.chat, .tokens(let ids)):
            body["messages"] = [["role": "user", "content": .string(ids.map(String.init).joined(separator: " "))]]
        }
        body[route == .chat ? "max_completion_tokens" : "max_tokens"] = .int(prompt.outputTokens)
        if let temperature { body["temperature"] = .double(temperature) }
        if ignoresEOS { body["ignore_eos"] = true }
        body["stream"] = true
        body["stream_options"] = ["include_usage": true]
        for (key, value) in extra.members { body[key] = value }
        var writer = JSONWriter(capacity: 1024)
        writer.value(.object(body))
        return writer.bytes
    }
}
