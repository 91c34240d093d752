internal import JSON
internal import Server

/// A job's `input`, recognised: a request to the API, or native input.
enum JobInput: Sendable {
    case api(method: String, path: String, body: [UInt8])
    case native(NativeRequest)

    /// In the order of Runpod's vLLM worker: `openai_input`, `openai_route` alone, `route`, `messages`, `prompt`.
    init(_ input: JSONValue, _ settings: WorkerSettings) throws(InputError) {
        guard let object = input.object else { throw InputError("the job's input must be an object, not \(input.kind)") }
        let route = try Self.text(object, "openai_route")
        if let body = object["openai_input"], Self.isTruthy(body) {
            guard body.object != nil else { throw InputError("openai_input must be an object, not \(body.kind)") }
            self = Self.api("POST", route ?? "/v1/chat/completions", body)
        } else if let route {
            // A body that is empty may still be meant as one.
            let path = Self.normalized(route)
            let takesGet = LocalService.methods(of: path).contains("GET")
            self = takesGet || object["openai_input"]?.object == nil ? Self.api("GET", route, nil) : Self.api("POST", route, .object(JSONObject()))
        } else if let route = try Self.text(object, "route") {
            let body = object["body"].flatMap { $0.isNull ? nil : $0 }
            let method = try Self.text(object, "method")?.uppercased() ?? (body == nil ? "GET" : "POST")
            self = Self.api(method, route, body)
        } else if Self.has(object, "messages") || Self.has(object, "prompt") {
            let request = try NativeRequest(object, settings.batching)
            self =
                settings.nativeShape == .tokens ? .native(request) : .api(method: "POST", path: request.path, body: request.apiBody)
        } else {
            throw InputError("Job input must contain one of openai_input, openai_route, route, messages or prompt")
        }
    }

    private static func api(_ method: String, _ route: String, _ body: JSONValue?) -> JobInput {
        .api(method: method, path: normalized(route), body: body.map { Array($0.text.utf8) } ?? [])
    }

    /// `v1/models`, `/openai/v1/models` and `/v1/models?x` are all the same.
    private static func normalized(_ route: String) -> String {
        var path = route.prefix { $0 != "?" && $0 != "#" }[...]
        if path.hasPrefix("/openai/") { path = path.dropFirst(7) }
        return path.hasPrefix("/") ? String(path) : "/" + path
    }

    private static func has(_ object: JSONObject, _ key: String) -> Bool { object[key].map { !$0.isNull } ?? false }

    private static func text(_ object: JSONObject, _ key: String) throws(InputError) -> String? {
        guard let value = object[key], !value.isNull, value != "" else { return nil }
        guard let text = value.string else { throw InputError("\(key) must be a string, not \(value.kind)") }
        return text
    }

    /// As Python sees it.
    private static func isTruthy(_ value: JSONValue) -> Bool {
        switch value {
        case .null: false
        case .bool(let flag): flag
        case .int(let number): number != 0
        case .bigInt: true
        case .double(let number): number != 0
        case .string(let text): !text.isEmpty
        case .array(let elements): !elements.isEmpty
        case .object(let object): !object.members.isEmpty
        }
    }
}

/// Bad input of a job, in words for its sender.
struct InputError: Error, Sendable, Equatable, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
