internal import Jobs
internal import Logging

extension GatewayCore {
    /// Checks that the caller may speak for the worker, and makes the worker known if it came by itself.
    func admit(_ worker: WorkerID, to endpoint: EndpointDefinition, _ caller: Caller, mayBeNew: Bool) async throws(ClientError) {
        var seat = dispatcher.seat(worker)
        if seat == nil, store.isShared {
            // Another gateway may have started it.
            do {
                for record in try await store.workers() where record.id == worker { dispatcher.insert(record) }
            } catch { throw ClientError(error) }
            seat = dispatcher.seat(worker)
        }
        guard caller.mayWork(as: worker, on: endpoint.id, hasOwnKey: seat?.record.secretHash != nil) else { throw .unauthorized }
        if let seat {
            guard seat.record.endpoint == endpoint.id else { throw .bad("worker '\(worker)' belongs to another endpoint") }
            return
        }
        guard mayBeNew else { throw .noEndpoint }
        var record = WorkerRecord(id: worker, endpoint: endpoint.id, state: .initializing, version: endpoint.version, startedAt: .now)
        record.seenAt = .now
        dispatcher.insert(record)
        logger.info("a worker came by itself", metadata: ["worker": "\(worker)", "endpoint": "\(endpoint.id)"])
        do { try await store.save(record) } catch { throw ClientError(error) }
    }
}
