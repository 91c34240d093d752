internal import HTTPTypes
internal import Hummingbird
internal import JSON
internal import Jobs
internal import NIOCore

/// `/admin/api/…`: endpoints, workers, keys and the job log, for whoever has an admin key.
struct AdminRoutes: Sendable {
    let core: GatewayCore
    let gate: Gatekeeper
    let supervisor: Supervisor
    let about: About

    /// What the dashboard says of the gateway itself.
    struct About: Sendable {
        var version: String
        var startedAt: Timestamp
        /// Without a password.
        var store: String
        var pricePerWorkerHour: Double?
    }

    func home() async throws(ClientError) -> Response {
        Reply.json { $0.raw("{\"service\":\"needletail gateway\",\"dashboard\":\"/dashboard\",\"health\":\"/health\"}") }
    }

    func handle(_ call: GatewayCall) async throws(ClientError) -> Response {
        if call.path == ["dashboard"] { return dashboard() }
        if call.path == ["metrics"] {
            // Anybody who may look at jobs may look at figures; Prometheus sends a key.
            guard let caller = gate.caller(call, as: .admin), caller.key.role != .worker else { throw .unauthorized }
            return metrics()
        }
        guard call.path.first == "admin", call.path.count >= 3, call.path[1] == "api" else {
            throw .notFound("there is nothing at \(call.request.uri.path.prefix(200))")
        }
        guard let caller = gate.caller(call, as: .admin) else { throw .unauthorized }
        guard caller.mayAdminister else { throw ClientError(status: 403, message: "this needs an admin key") }
        let name = call.path.count == 4 ? call.path[3] : nil
        switch (call.path[2], call.method, name) {
        case ("workers", .get, nil): return workers(call)
        case ("endpoints", .get, nil): return endpoints()
        case ("endpoints", .get, let name?): return try endpoint(EndpointID(name))
        case ("endpoints", .put, let name?): return try await define(EndpointID(name), call)
        case ("endpoints", .delete, let name?): return try await undefine(EndpointID(name))
        case ("keys", .get, nil): return try await keys()
        case ("keys", .post, nil): return try await makeKey(call)
        case ("keys", .delete, let name?): return try await removeKey(name)
        case ("overview", .get, nil): return try await overview(call)
        case ("jobs", .get, nil): return try await jobs(call)
        case ("jobs", .get, let name?): return try await job(JobID(name))
        case ("reload", .post, nil): return try await reload()
        default: throw .notFound("there is nothing at \(call.request.uri.path.prefix(200)) for \(call.method.rawValue)")
        }
    }

    // MARK: Workers

    private func workers(_ call: GatewayCall) -> Response {
        let wanted = call.parameter("endpoint").map { EndpointID($0) }
        return Reply.json { writer in
            writer.raw("{\"workers\":[")
            for (place, seat) in core.dispatcher.seats(wanted).sorted(by: { $0.record.startedAt < $1.record.startedAt }).enumerated() {
                if place > 0 { writer.raw(",") }
                seat.write(into: &writer)
            }
            writer.raw("]}")
        }
    }

    // MARK: Endpoints

    private func endpoints() -> Response {
        Reply.json { writer in
            writer.raw("{\"endpoints\":[")
            for (place, endpoint) in core.endpoints.all.enumerated() {
                if place > 0 { writer.raw(",") }
                write(endpoint, into: &writer)
            }
            writer.raw("]}")
        }
    }

    private func endpoint(_ id: EndpointID) throws(ClientError) -> Response {
        guard let endpoint = core.endpoints.definition(id) else { throw .noEndpoint }
        return Reply.json { write(endpoint, into: &$0) }
    }

    private func write(_ endpoint: EndpointDefinition, into writer: inout JSONWriter) {
        writer.raw("{\"id\":")
        writer.string(endpoint.id.text)
        writer.raw(",\"isFromFile\":")
        writer.bool(core.endpoints.isFromFile(endpoint.id))
        writer.raw(",\"definition\":")
        writer.value(endpoint.publicJSON)
        writer.raw("}")
    }

    private func define(_ id: EndpointID, _ call: GatewayCall) async throws(ClientError) -> Response {
        guard !core.endpoints.isFromFile(id) else {
            throw ClientError(status: 409, message: "endpoint '\(id)' is defined in the configuration file; change it there and reload")
        }
        let body = try await call.body(limit: 1 << 20, tooLarge: .bad("the definition is larger than 1 MiB"))
        let json: JSONValue
        do { json = try JSONValue(parsing: body) } catch { throw .bad("malformed JSON: \(error)") }
        do { _ = try EndpointDefinition(id, json) } catch { throw .bad(error.description) }
        do { try await core.store.saveDefinition(id, json: body) } catch { throw ClientError(error) }
        await core.signals.reload()
        return try endpoint(id)
    }

    private func undefine(_ id: EndpointID) async throws(ClientError) -> Response {
        guard !core.endpoints.isFromFile(id) else {
            throw ClientError(status: 409, message: "endpoint '\(id)' is defined in the configuration file; remove it there and reload")
        }
        guard core.endpoints.definition(id) != nil else { throw .noEndpoint }
        do { try await core.store.removeDefinition(id) } catch { throw ClientError(error) }
        await core.signals.reload()
        return Reply.json { $0.raw("{\"removed\":true}") }
    }

    private func reload() async throws(ClientError) -> Response {
        if let problem = await core.signals.reload() { throw .bad(problem) }
        return Reply.json { $0.raw("{\"reloaded\":true}") }
    }

    // MARK: Keys

    private func keys() async throws(ClientError) -> Response {
        let keys: [AccessKey]
        do { keys = try await core.store.keys() } catch { throw ClientError(error) }
        return Reply.json { writer in
            writer.raw("{\"keys\":[")
            for (place, key) in keys.enumerated() {
                if place > 0 { writer.raw(",") }
                key.write(into: &writer)
            }
            writer.raw("]}")
        }
    }

    /// `{"name", "role", "endpoints", "requestsPer10Seconds"}`; the key's text is in the answer and nowhere else.
    private func makeKey(_ call: GatewayCall) async throws(ClientError) -> Response {
        let body = try await call.body(limit: 1 << 16, tooLarge: .bad("the request is larger than 64 KiB"))
        let text: AccessKeyText
        let key: AccessKey
        do {
            var reader = try SettingsReader(try JSONValue(parsing: body), "the request")
            guard let name = try reader.string("name"), name.isURLName else {
                throw DefinitionError("the request: 'name' is missing, or holds other than letters, digits, '-' and '_'")
            }
            let role: AccessKey.Role = try reader.choice("role") ?? .client
            let endpoints = try reader.strings("endpoints").map { Set($0.map { EndpointID($0) }) }
            let limit = try reader.int("requestsPer10Seconds", 1...1_000_000_000)
            try reader.finish()
            text = AccessKeyText.make(role: role)
            key = AccessKey(name: name, role: role, hash: text.hash, endpoints: endpoints, requestsPer10Seconds: limit, createdAt: .now)
        } catch {
            throw .bad("\(error)")
        }
        do { try await core.store.saveKey(key) } catch { throw ClientError(error) }
        await core.signals.reload()
        return Reply.json { writer in
            writer.raw("{\"key\":")
            writer.string(text.text)
            writer.raw(",\"name\":")
            writer.string(key.name)
            writer.raw("}")
        }
    }

    private func removeKey(_ name: String) async throws(ClientError) -> Response {
        do { try await core.store.removeKey(name) } catch { throw ClientError(error) }
        await core.signals.reload()
        return Reply.json { $0.raw("{\"removed\":true}") }
    }
}

extension WorkerSeat {
    func write(into writer: inout JSONWriter) {
        writer.raw("{\"id\":")
        writer.string(record.id.text)
        writer.raw(",\"endpoint\":")
        writer.string(record.endpoint.text)
        writer.raw(",\"state\":\"")
        writer.raw(record.state.rawValue)
        writer.raw("\",\"reason\":")
        if let reason = record.reason { writer.string(reason) } else { writer.raw("null") }
        writer.raw(",\"handle\":")
        if let handle = record.handle { writer.string(handle) } else { writer.raw("null") }
        writer.raw(",\"jobs\":")
        writer.int(held.count)
        writer.raw(",\"jobsDone\":")
        writer.int(record.jobsDone)
        writer.raw(",\"startedAt\":")
        writer.int(record.startedAt.milliseconds)
        writer.raw(",\"readyAt\":")
        if let readyAt = record.readyAt { writer.int(readyAt.milliseconds) } else { writer.raw("null") }
        writer.raw(",\"coldStart\":")
        if let coldStart { writer.value((try? JSONValue(parsing: coldStart)) ?? .null) } else { writer.raw("null") }
        writer.raw("}")
    }
}

extension AccessKey {
    func write(into writer: inout JSONWriter) {
        writer.raw("{\"name\":")
        writer.string(name)
        writer.raw(",\"role\":\"")
        writer.raw(role.rawValue)
        writer.raw("\",\"endpoints\":")
        if let endpoints {
            writer.value(.array(endpoints.sorted().map { .string($0.text) }))
        } else {
            writer.raw("null")
        }
        writer.raw(",\"createdAt\":")
        writer.int(createdAt.milliseconds)
        writer.raw("}")
    }
}

extension EndpointDefinition {
    /// The definition without the values of its environment, which may be secret.
    var publicJSON: JSONValue {
        guard var json = (try? JSONValue(parsing: version))?.object, var provider = json["provider"]?.object, let kind = provider.members.first?.key,
            var settings = provider[kind]?.object, let environment = settings["env"]?.object
        else { return (try? JSONValue(parsing: version)) ?? .null }
        settings["env"] = .object(JSONObject(environment.members.map { ($0.key, JSONValue.string("…")) }))
        provider[kind] = .object(settings)
        json["provider"] = .object(provider)
        return .object(json)
    }
}
