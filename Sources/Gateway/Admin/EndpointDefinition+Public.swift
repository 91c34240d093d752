internal import JSON
internal import Jobs

extension EndpointDefinition {
    /// The definition for people: the values of its environment are left out, and so is what looks like a secret in the provider's other settings.
    var publicJSON: JSONValue {
        guard var json = (try? JSONValue(parsing: version))?.object else { return .null }
        if let provider = json["provider"]?.object {
            json["provider"] = .object(JSONObject(provider.members.map { ($0.key, Self.withoutSecrets($0.value)) }))
        }
        return .object(json)
    }

    private static func withoutSecrets(_ settings: JSONValue) -> JSONValue {
        guard let settings = settings.object else { return settings }
        let redact = Redactor()
        return .object(
            JSONObject(
                settings.members.map { name, value in
                    if name == "env", let environment = value.object {
                        return (name, .object(JSONObject(environment.members.map { ($0.key, JSONValue.string("…")) })))
                    }
                    if let words = value.array { return (name, .array(withoutSecrets(words, redact))) }
                    return (name, value.string.map { .string(redact($0)) } ?? value)
                }))
    }

    /// Of a command: `--api-key=…` by its form, `--api-key …` by the word before.
    private static func withoutSecrets(_ words: [JSONValue], _ redact: Redactor) -> [JSONValue] {
        var isNamed = false
        return words.map { word in
            guard let text = word.string else { return word }
            defer { isNamed = text.hasPrefix("-") && Redactor.isSecretName(text) }
            return .string(isNamed ? Redactor.mark : redact(text))
        }
    }
}
