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
    let live: LiveConfiguration
    let about: About
    /// Two keys of one name must not be made at a time.
    let keyChanges = Turns()

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
            let caller = try gate.caller(call)
            guard caller.key.role != .worker else { throw .unauthorized }
            return metrics(caller)
        }
        guard call.path.first == "admin", call.path.count >= 3, call.path[1] == "api" else {
            throw .notFound("there is nothing at \(call.request.uri.path.prefix(200))")
        }
        let caller = try gate.caller(call, as: .admin)
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
        try await takeOver("endpoint '\(id)' is saved")
        return try endpoint(id)
    }

    private func undefine(_ id: EndpointID) async throws(ClientError) -> Response {
        guard !core.endpoints.isFromFile(id) else {
            throw ClientError(status: 409, message: "endpoint '\(id)' is defined in the configuration file; remove it there and reload")
        }
        guard core.endpoints.definition(id) != nil else { throw .noEndpoint }
        do { try await core.store.removeDefinition(id) } catch { throw ClientError(error) }
        try await takeOver("endpoint '\(id)' is removed from the store")
        return Reply.json { $0.raw("{\"removed\":true}") }
    }

    private func reload() async throws(ClientError) -> Response {
        if let problem = await live.reload(readsFile: true) { throw .bad(problem) }
        return Reply.json { $0.raw("{\"reloaded\":true}") }
    }

    /// What the store has taken has to hold here before it is called done.
    /// - done: what the store has done, for the message.
    func takeOver(_ done: String) async throws(ClientError) {
        guard let problem = await live.reload(readsFile: false) else { return }
        throw ClientError(status: 500, message: "\(done), but that is not in force at this gateway yet: \(problem); repeat the request or reload")
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
