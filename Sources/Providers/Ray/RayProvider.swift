package import Jobs
internal import JSON
internal import NIOHTTP1
internal import Synchronization

/// Workers as jobs of a Ray cluster, by the REST API of its dashboard (`/api/jobs/`, Ray 2.x): one worker is one submitted job, placed on a node
/// that has the resources which the definition names. The handle is the submission id, `needletail-WORKER`.
///
/// - Ray keeps the environment of a job, the worker's key in it, and shows it to whoever may use the dashboard.
/// - A job that cannot be placed is pending; after 15 minutes (`RAY_JOB_START_TIMEOUT_SECONDS` of the cluster) Ray fails it.
/// - A node's death fails its jobs once Ray's health checks notice it: by Ray's own settings within some 15 to 30 s, when the machine just vanishes.
package final class RayProvider: WorkerProvider {
    private struct Known {
        var state: ProviderState
        var log: String?
        var askedAt: ContinuousClock.Instant
    }

    private struct Memory {
        var known: [String: Known] = [:]
        /// Stopped while pending. Ray carries that out only when it has found room, so they are over for us and end by themselves later.
        var calledOff: Set<String> = []
    }

    /// An answer younger than this is not asked for again.
    private static let freshness = Duration.milliseconds(200)
    /// Requests at a time.
    private static let width = 8

    private let client: PlatformClient
    private let stopGraceSeconds: Int
    private let memory = Mutex(Memory())

    /// - Parameters:
    ///   - definition: its `address`, `tokenFile` and `certificateAuthorityFile` are used; the rest comes with each order.
    ///   - stopGraceSeconds: from SIGTERM to SIGKILL. Ray wants to know it on submission.
    package init(_ definition: ProviderDefinition, stopGraceSeconds: Int = 30) throws(ProviderError) {
        guard let address = definition.address else { throw ProviderError("Ray: 'address' is missing, such as http://127.0.0.1:8265") }
        client = try PlatformClient(
            name: "Ray", base: address, tokenFile: definition.tokenFile, authorityFile: definition.certificateAuthorityFile)
        self.stopGraceSeconds = stopGraceSeconds
    }

    /// Call once, last.
    package func close() async { await client.close() }

    package func start(_ order: WorkerOrder) async throws(ProviderError) -> String {
        guard order.worker.text.isURLName else { throw ProviderError("'\(order.worker.text.shortened(60))' cannot name a Ray job") }
        let handle = "needletail-\(order.worker)"
        let body = try submission(order, handle)
        do throws(ProviderError) {
            let answer = try await client.send(.POST, "/api/jobs/", body: ("application/json", body), seconds: 30)
            guard answer.status == 200 else { throw refusal(answer, "the job for worker \(order.worker)") }
            return answer.json["submission_id"]?.string ?? handle
        } catch {
            guard error.isCapacity else { throw error }
            // The answer may have been lost, not the order.
            if let answer = try? await client.send(.GET, path(handle)), answer.status == 200 { return handle }
            throw error
        }
    }

    package func stop(_ handle: String, graceSeconds: Int) async {
        let isPending = await state(handle).isPending
        if isPending { memory.withLock { _ = $0.calledOff.insert(handle) } }
        _ = try? await client.send(.POST, path(handle) + "/stop", body: ("application/json", .object(JSONObject())))
    }

    package func states(_ handles: [String]) async -> [String: ProviderState] {
        await withTaskGroup(of: (String, ProviderState).self) { group in
            var states: [String: ProviderState] = [:]
            var rest = handles[...]
            for handle in rest.prefix(Self.width) { group.addTask { (handle, await self.state(handle)) } }
            rest = rest.dropFirst(Self.width)
            for await (handle, state) in group {
                states[handle] = state
                if let next = rest.popFirst() { group.addTask { (next, await self.state(next)) } }
            }
            return states
        }
    }

    package func lastOutput(_ handle: String, lines: Int) async -> String? {
        var text = memory.withLock { $0.known[handle]?.log }
        if text == nil, let answer = try? await client.tail(path(handle) + "/logs", keep: 64 << 10), answer.status == 200 {
            text = Self.logText(answer.body)
        }
        return text.map { TerminalText.plain($0).split(separator: "\n").suffix(max(0, lines)).joined(separator: "\n") }
    }

    package func forget(_ handle: String) async {
        _ = try? await client.send(.DELETE, path(handle))
        memory.withLock { memory in
            memory.known[handle] = nil
            memory.calledOff.remove(handle)
        }
    }

    // MARK: -

    private func path(_ handle: String) -> String { "/api/jobs/" + handle.percentEncoded }

    /// `JobSubmitRequest`.
    private func submission(_ order: WorkerOrder, _ handle: String) throws(ProviderError) -> JSONValue {
        let environment = try RayEnvironment(order.environment)
        var variables = JSONObject()
        variables["RAY_JOB_STOP_WAIT_TIME_S"] = .string(String(stopGraceSeconds))
        for (name, value) in environment.variables { variables[name] = .string(value) }
        var request = JSONObject()
        request["entrypoint"] = .string(environment.prelude + (try ShellCommand.line(order.command)))
        request["submission_id"] = .string(handle)
        request["runtime_env"] = ["env_vars": .object(variables)]
        request["metadata"] = ["needletail_endpoint": .string(order.endpoint.text), "needletail_worker": .string(order.worker.text)]
        let definition = order.definition
        // Without any resources Ray would run it on the head node, whatever is there already.
        let isUnspecified = definition.cpus == nil && definition.gpus == nil && definition.resources.isEmpty
        if let cpus = definition.cpus ?? (isUnspecified ? 1 : nil) { request["entrypoint_num_cpus"] = .double(cpus) }
        if let gpus = definition.gpus { request["entrypoint_num_gpus"] = .double(gpus) }
        if !definition.resources.isEmpty {
            request["entrypoint_resources"] = .object(JSONObject(definition.resources.map { ($0.name, .double($0.amount)) }))
        }
        return .object(request)
    }

    private func state(_ handle: String) async -> ProviderState {
        let now = ContinuousClock.now
        let known = memory.withLock { memory -> ProviderState? in
            if memory.calledOff.contains(handle) { return .ended(reason: "called off while it waited for room", succeeded: true) }
            guard let known = memory.known[handle] else { return nil }
            return known.state.isOver || now - known.askedAt < Self.freshness ? known.state : nil
        }
        if let known { return known }
        let found: RaySubmission
        do {
            let answer = try await client.send(.GET, path(handle))
            switch answer.status {
            case 200: found = RaySubmission(answer.json)
            case 404: return .missing
            default: return .unknown(reason: refusal(answer, "job \(handle.shortened(80))").description)
            }
        } catch {
            return .unknown(reason: error.description)
        }
        memory.withLock { $0.known[handle] = Known(state: found.state, log: found.log, askedAt: now) }
        return found.state
    }

    private func refusal(_ answer: PlatformClient.Answer, _ subject: String) -> ProviderError {
        let place = "Ray at \(client.base)"
        switch answer.status {
        case 300..<400: return ProviderError("\(place) redirects (\(answer.status)); give the address that it redirects to")
        case 401, 403: return ProviderError("\(place) does not let us in (\(answer.status)); check 'tokenFile': \(lastLine(answer))")
        case 404: return ProviderError("\(place) knows no \(subject), or is no Ray dashboard (404)")
        case 400..<500: return ProviderError("\(place) refuses \(subject) (\(answer.status)): \(lastLine(answer))")
        default: return ProviderError("\(place) failed with \(subject) (\(answer.status)): \(lastLine(answer))", isCapacity: true)
        }
    }

    /// Ray answers with a Python traceback, which ends with what matters; it may repeat the request, secrets and all, so no more than that.
    private func lastLine(_ answer: PlatformClient.Answer) -> String {
        let lines = String(decoding: answer.body.suffix(4000), as: UTF8.self).split(separator: "\n").map(String.init)
        return OneLine.text(lines.last { $0.contains("Error: ") } ?? lines.last ?? "no reason given").shortened(300)
    }

    /// The text in the last bytes of `{"logs": "…"}`, from its first whole line on.
    static func logText(_ body: [UInt8]) -> String? {
        if let text = (try? JSONValue(parsing: body))?["logs"]?.string { return text }
        // Cut off in front: it goes on after the first escaped line end.
        let text = String(decoding: body, as: UTF8.self)
        guard let start = text.firstRange(of: "\\n"), let end = text.lastIndex(of: "\""), start.upperBound <= end else { return nil }
        return (try? JSONValue(parsing: "\"" + text[start.upperBound..<end] + "\""))?.string
    }
}

extension ProviderState {
    var isOver: Bool { if case .ended = self { true } else { false } }
    var isPending: Bool { if case .pending = self { true } else { false } }
}
