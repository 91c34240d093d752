internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import JSON
internal import Jobs
internal import Logging
internal import NIOCore
internal import Web

/// Finds the route of a request, checks the key and the limits, answers.
struct GatewayResponder: HTTPResponder {
    typealias Context = GatewayContext

    let core: GatewayCore
    let gate: Gatekeeper
    let client: ClientRoutes
    let openAI: OpenAIRoutes
    let workers: WorkerRoutes
    let admin: AdminRoutes

    func respond(to request: Request, context: GatewayContext) async throws -> Response {
        let call = GatewayCall(request, context.channel)
        let operation = operation(call)
        let response: Response
        do throws(ClientError) {
            response = try await isBrief(call, operation) ? dispatch(call) : elsewhere(call)
        } catch {
            response = Reply.error(error)
        }
        core.signals.metrics.request(operation, status: response.status.code)
        return response
    }

    /// Whether all that the request takes is looking up, waiting and passing on: then it stays on its connection's event loop.
    private func isBrief(_ call: GatewayCall, _ operation: HTTPOperation) -> Bool {
        switch operation {
        case .take, .chunks, .done, .stop, .ping: true
        case .openai, .run, .runsync: call.request.headers[.contentLength].flatMap { Int($0) }.map { $0 <= Self.briefBody } ?? false
        default: false
        }
    }

    /// Bytes of a body whose reading holds nobody up.
    private static let briefBody = 64 << 10

    /// Away from the event loop, whose other connections shall not wait for what this one has to be computed.
    private func elsewhere(_ call: GatewayCall) async throws(ClientError) -> Response {
        let result: Result<Response, ClientError> = await withTaskExecutorPreference(globalConcurrentExecutor) {
            do throws(ClientError) { return .success(try await dispatch(call)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    private func operation(_ call: GatewayCall) -> HTTPOperation {
        switch call.path.first {
        case "v2":
            switch call.path.count > 2 ? call.path[2] : "" {
            case "job-take", "job-take-batch": .take
            case "job-stream", "job-stream-batch", "job-stream-batches": .chunks
            case let name: HTTPOperation(rawValue: name) ?? .other
            }
        case "admin": .admin
        case "dashboard": .dashboard
        case "metrics": .metrics
        default: .other
        }
    }

    private func dispatch(_ call: GatewayCall) async throws(ClientError) -> Response {
        switch call.path.first {
        case "v2": return try await endpoint(call)
        case "ping", "health", "healthz":
            guard call.path.count == 1 else { break }
            return Reply.json { $0.raw("{\"status\":\"ok\"}") }
        case "metrics", "dashboard", "admin": return try await admin.handle(call)
        case nil: return try await admin.home()
        default: break
        }
        throw .notFound("there is nothing at \(call.request.uri.path.prefix(200))")
    }

    private func endpoint(_ call: GatewayCall) async throws(ClientError) -> Response {
        guard call.path.count >= 3 else { throw .notFound("there is nothing at \(call.request.uri.path.prefix(200))") }
        let id = EndpointID(call.path[1])
        let operation = call.path[2]
        let rest = Array(call.path.dropFirst(3))
        if let request = WorkerOperation(operation, rest) { return try await worker(call, id, request) }
        let caller: Caller
        do throws(ClientError) { caller = try gate.caller(call) } catch {
            guard operation == "openai" else { throw error }
            let isUnknown = error.status == 401
            return (isUnknown ? OpenAIFailure(status: 401, message: "invalid API key", type: "AuthenticationError") : OpenAIFailure(error)).response
        }
        // A key that does not open the endpoint learns nothing of it.
        guard caller.mayUse(id), let definition = core.endpoints.definition(id) else {
            if operation == "openai" { return OpenAIFailure(.noEndpoint).response }
            throw .noEndpoint
        }
        if operation == "openai" {
            do throws(ClientError) {
                let ticket = try gate.admit(caller, id, .openAI, workers: core.runningWorkers(id))
                do throws(OpenAIFailure) {
                    return try await openAI.handle(call, path: "/" + rest.joined(separator: "/"), definition, ticket)
                } catch { return error.response }
            } catch { return OpenAIFailure(error).response }
        }
        return try await job(call, operation, rest, definition, caller)
    }

    private func job(
        _ call: GatewayCall, _ operation: String, _ rest: [String], _ endpoint: EndpointDefinition, _ caller: Caller
    ) async throws(ClientError) -> Response {
        guard let operation = ClientOperation(rawValue: operation), rest.count == (operation.namesJob ? 1 : 0) else {
            throw .notFound("there is nothing at \(call.request.uri.path.prefix(200))")
        }
        guard operation.methods.contains(call.method) else { throw .method(operation.methods.map(\.rawValue).joined(separator: " or ")) }
        let ticket = try gate.admit(caller, endpoint.id, operation, workers: core.runningWorkers(endpoint.id))
        defer { withExtendedLifetime(ticket) {} }
        let id = JobID(rest.first ?? "")
        if operation.namesJob, !id.text.isURLName { throw .noJob }
        switch operation {
        case .run: return try await client.run(call, endpoint)
        case .runsync: return try await client.runsync(call, endpoint)
        case .status: return try await client.status(call, id, endpoint.id)
        case .statusSync: return try await client.statusSync(call, id, endpoint.id)
        case .stream: return try await client.stream(call, id, endpoint.id)
        case .cancel: return try await client.cancel(id, endpoint.id)
        case .retry: return try await client.retry(id, endpoint.id)
        case .purgeQueue: return try await client.purge(endpoint.id)
        case .health: return try await client.health(endpoint)
        case .requests: return try await client.requests(call, endpoint.id)
        case .metrics: return client.metrics(endpoint)
        case .openAI: throw .noEndpoint
        }
    }

    private func worker(_ call: GatewayCall, _ endpoint: EndpointID, _ operation: WorkerOperation) async throws(ClientError) -> Response {
        let own: WorkerRoutes.WorkerCall
        do throws(ClientError) { own = try await admit(call, endpoint, operation) } catch {
            // The SDK asks again at once, whatever the answer.
            if operation.isRepeated { try? await Task.sleep(for: .seconds(1)) }
            throw error
        }
        switch operation.kind {
        case .take: return try await workers.take(own, wanted: 1, isBatch: false)
        case .takeBatch:
            let wanted = try call.clamped("batch_size", 1...10_000, default: 1)
            return try await workers.take(own, wanted: wanted, isBatch: true)
        case .done(let job): return try await workers.done(own, JobID(job))
        case .stream(let job): return try await workers.stream(own, JobID(job))
        case .streamBatch: return try await workers.streamBatch(own)
        case .streamBatches: return workers.streamBatches(own) { () async throws(ClientError) in try await admit(call, endpoint, operation) }
        case .stop: return try await workers.stop(own)
        case .ping: return try await workers.ping(own)
        }
    }
}

extension GatewayResponder {
    /// Checks who a worker is and what it may do.
    private func admit(_ call: GatewayCall, _ endpoint: EndpointID, _ operation: WorkerOperation) async throws(ClientError) -> WorkerRoutes.WorkerCall {
        guard operation.worker.isURLName else { throw .bad("the worker's id may hold letters, digits, '-' and '_' only") }
        let worker = WorkerID(operation.worker)
        let caller: Caller
        do throws(ClientError) { caller = try gate.caller(call, as: .worker) } catch {
            guard error.status == 401, await core.lookForWorkers() else { throw error }
            caller = try gate.caller(call, as: .worker)
        }
        // Of an endpoint that was removed, workers may end what they have; the results are paid for.
        let current = core.endpoints.definition(endpoint)
        let former = operation.isTake ? nil : core.endpoints.former(endpoint)
        guard let definition = current ?? former else { throw .noEndpoint }
        try await core.admit(worker, to: definition, caller, mayBeNew: current != nil)
        return WorkerRoutes.WorkerCall(call: call, worker: worker, endpoint: definition)
    }
}

/// The operations of the job API.
enum ClientOperation: String, Sendable, CaseIterable {
    case run, runsync, status
    case statusSync = "status-sync"
    case stream, cancel, retry
    case purgeQueue = "purge-queue"
    case health, requests, metrics
    case openAI = "openai"

    var namesJob: Bool {
        switch self {
        case .status, .statusSync, .stream, .cancel, .retry: true
        default: false
        }
    }

    var methods: [HTTPRequest.Method] {
        switch self {
        case .run, .runsync, .cancel, .retry, .purgeQueue: [.post]
        case .status, .statusSync, .stream: [.get, .post]
        case .health, .requests, .metrics: [.get]
        case .openAI: [.get, .post, .delete]
        }
    }
}

/// A worker's request, by its path after `/v2/{endpoint}`.
struct WorkerOperation {
    enum Kind {
        case take, takeBatch, streamBatch, streamBatches, stop, ping
        case done(String), stream(String)
    }

    let kind: Kind
    let worker: String

    /// Whether workers send it in a loop.
    var isRepeated: Bool {
        switch kind {
        case .take, .takeBatch, .stop: true
        case .streamBatch, .streamBatches, .ping, .done, .stream: false
        }
    }

    var isTake: Bool {
        switch kind {
        case .take, .takeBatch: true
        case .streamBatch, .streamBatches, .ping, .done, .stream, .stop: false
        }
    }

    init?(_ operation: String, _ rest: [String]) {
        switch (operation, rest.count) {
        case ("job-take", 1): kind = .take
        case ("job-take-batch", 1): kind = .takeBatch
        case ("job-stream-batch", 1): kind = .streamBatch
        case ("job-stream-batches", 1): kind = .streamBatches
        case ("job-stop", 1): kind = .stop
        case ("ping", 1): kind = .ping
        case ("job-done", 2): kind = .done(rest[1])
        case ("job-stream", 2): kind = .stream(rest[1])
        default: return nil
        }
        worker = rest[0]
    }
}
