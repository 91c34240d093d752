internal import JSON
internal import Jobs
internal import Logging
internal import Synchronization

/// The configuration in force: the file's, as it was last read without an error, and beside it definitions and keys of the store. A file that
/// somebody is editing keeps no key from being made or withdrawn.
final class LiveConfiguration: Sendable {
    private let core: GatewayCore
    private let gate: Gatekeeper
    private let read: (@Sendable () throws -> GatewayConfiguration)?
    private let logger: Logger
    /// As of the start: where it listens stays.
    private let start: GatewayConfiguration
    private let file: Mutex<GatewayConfiguration>
    /// What was read last must be what is in force at the end.
    private let turns = Turns()

    /// - read: reads the file; nil where there is none.
    init(_ start: GatewayConfiguration, core: GatewayCore, gate: Gatekeeper, read: (@Sendable () throws -> GatewayConfiguration)?, logger: Logger) {
        self.start = start
        file = Mutex(start)
        self.core = core
        self.gate = gate
        self.read = read
        self.logger = logger
    }

    /// Takes over what the store holds now.
    /// - readsFile: and the file, as it is now.
    /// - Returns: what is wrong, if something is; nothing has changed then.
    func reload(readsFile: Bool) async -> String? {
        await turns.take { [self] in
            do {
                try await takeOver(try current(readsFile))
                return nil
            } catch {
                logger.error("the configuration was not taken over: \(error)")
                return "\(error)"
            }
        }
    }

    private func current(_ readsFile: Bool) throws -> GatewayConfiguration {
        guard readsFile, let read else { return file.withLock { $0 } }
        let fresh = try read()
        try fresh.check(since: start)
        return fresh
    }

    private func takeOver(_ fresh: GatewayConfiguration) async throws {
        var added: [EndpointDefinition] = []
        for (id, json) in try await core.store.definitions() {
            do { added.append(try EndpointDefinition(id, try JSONValue(parsing: json))) } catch {
                logger.error("a stored definition is left out: \(error)", metadata: ["endpoint": "\(id)"])
            }
        }
        let keys = try await core.store.keys()
        // From here on nothing fails.
        file.withLock { $0 = fresh }
        let before = Set(core.endpoints.all.map(\.id))
        core.endpoints.replace(file: fresh.endpoints, added: added)
        gate.keys.replaceConfigured(fresh.keys)
        gate.keys.replaceStored(keys)
        gate.limiter.replaceLimits(fresh.rateLimits)
        gate.setOpen(AccessKey.Role.open(fresh.keys + keys, isLoopback: start.isLoopback))
        var limits: [EndpointID: Int] = [:]
        for endpoint in core.endpoints.all {
            limits[endpoint.id] = endpoint.maxConcurrency
            core.signals.demand.put(endpoint.id)
        }
        core.dispatcher.setMaxConcurrency(limits)
        for id in before where core.endpoints.definition(id) == nil { core.signals.metrics.remove(id) }
    }
}
