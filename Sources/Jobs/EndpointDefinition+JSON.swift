package import JSON

/// Why a definition cannot be taken: what, where, what to do.
package struct DefinitionError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

extension EndpointDefinition {
    /// Reads a definition such as
    /// `{"workersMax": 3, "scalerType": "REQUEST_COUNT", "scalerValue": 4, "provider": {"process": {"env": {"MODEL_NAME": "org/name"}}}}`.
    /// Unknown keys and values out of range are errors that name the endpoint and the key.
    package init(_ id: EndpointID, _ json: JSONValue) throws(DefinitionError) {
        guard id.text.isURLName else {
            throw DefinitionError("endpoint '\(id)': the name may hold letters, digits, '-' and '_' only, 128 at most")
        }
        var reader = try SettingsReader(json, "endpoint '\(id)'")
        self.init(id: id, provider: ProviderDefinition(.process))
        scaling.workersMin = try reader.int("workersMin", 0...10_000) ?? scaling.workersMin
        scaling.workersMax = try reader.int("workersMax", 0...10_000) ?? max(scaling.workersMax, scaling.workersMin)
        guard scaling.workersMin <= scaling.workersMax else {
            throw DefinitionError("endpoint '\(id)': workersMin (\(scaling.workersMin)) is above workersMax (\(scaling.workersMax))")
        }
        scaling.idleTimeout = try reader.number("idleTimeout", 0...86_400) ?? scaling.idleTimeout
        scaling.rule = try reader.choice("scalerType") ?? scaling.rule
        scaling.value = try reader.number("scalerValue", 0.1...86_400) ?? scaling.value
        scaling.maxStartsPerMinute = try reader.int("maxStartsPerMinute", 1...100_000) ?? scaling.maxStartsPerMinute
        scaling.maxQuickExits = try reader.int("maxQuickExits", 1...1000) ?? scaling.maxQuickExits
        executionTimeout = try reader.int("executionTimeoutMs", 1000...604_800_000) ?? executionTimeout
        timeToLive = try reader.int("ttlMs", 1000...604_800_000) ?? timeToLive
        runRetention = try reader.int("runRetentionMs", 1000...604_800_000) ?? runRetention
        runsyncRetention = try reader.int("runsyncRetentionMs", 1000...604_800_000) ?? runsyncRetention
        maxRetries = try reader.int("maxRetries", 0...1000) ?? maxRetries
        maxQueuedJobs = try reader.int("maxQueuedJobs", 1...100_000_000)
        openAITimeout = try reader.int("openAITimeoutMs", 1000...604_800_000) ?? openAITimeout
        maxConcurrency = try reader.int("maxConcurrency", 1...100_000)
        maxResultByteCount = try reader.int("maxResultBytes", 1024...(1 << 30)) ?? maxResultByteCount
        maxChunkByteCount = try reader.int("maxChunkBytes", 1024...(1 << 28)) ?? maxChunkByteCount
        initTimeoutSeconds = try reader.int("initTimeout", 1...86_400) ?? initTimeoutSeconds
        stopGraceSeconds = try reader.int("stopGrace", 0...3600) ?? stopGraceSeconds
        pingIntervalMilliseconds = try reader.int("pingIntervalMs", 1000...600_000) ?? pingIntervalMilliseconds
        allowsPrivateWebhooks = try reader.bool("allowPrivateWebhooks") ?? allowsPrivateWebhooks
        if let value = reader.take("provider") { provider = try ProviderDefinition(value, "endpoint '\(id)': provider") }
        try reader.finish()
        version = json.text
    }
}

extension ProviderDefinition {
    /// Reads `"process"`, or `{"process": {…}}` with the kind as the only key.
    init(_ json: JSONValue, _ place: String) throws(DefinitionError) {
        let kinds = Kind.allCases.map(\.rawValue).joined(separator: ", ")
        let name: String
        var settings = JSONValue.object(JSONObject())
        if let text = json.string {
            name = text
        } else if let object = json.object, object.count == 1, let member = object.members.first {
            name = member.key
            if !member.value.isNull { settings = member.value }
        } else {
            throw DefinitionError("\(place): expected one of \(kinds) with its settings, such as {\"process\": {…}}")
        }
        guard let kind = Kind(rawValue: name) else { throw DefinitionError("\(place): '\(name)' is none of \(kinds)") }
        self.init(kind)
        var reader = try SettingsReader(settings, "\(place) \(name)")
        command = try reader.strings("command") ?? []
        environment = try reader.pairs("env")
        gatewayURL = try reader.string("gatewayURL")
        if kind == .process { workingDirectory = try reader.string("workingDirectory") }
        if kind == .ray || kind == .kubernetes {
            address = try reader.string("address")
            tokenFile = try reader.string("tokenFile")
            certificateAuthorityFile = try reader.string("certificateAuthorityFile")
        }
        if kind == .ray {
            cpus = try reader.number("cpus", 0...100_000)
            gpus = try reader.number("gpus", 0...100_000)
            for (name, value) in try reader.members("resources") {
                guard let amount = value.double, amount >= 0 else {
                    throw DefinitionError("\(place) \(name): the amount of '\(name)' must be a number that is not negative")
                }
                resources.append((name, amount))
            }
            if address == nil { throw DefinitionError("\(place) ray: 'address' is missing, such as http://127.0.0.1:8265") }
        }
        if kind == .kubernetes {
            namespace = try reader.string("namespace")
            deployment = try reader.string("deployment")
            if deployment == nil { throw DefinitionError("\(place) kubernetes: 'deployment' is missing: the name of the workers' Deployment") }
        }
        try reader.finish()
    }
}
