internal import AsyncHTTPClient
package import Logging
internal import NIOCore
internal import NIOPosix
package import Server
internal import Web
internal import WorkerProtocol

/// Takes jobs from a gateway, runs them in this process's engine and posts what comes of them (Runpod's worker protocol; needletail's
/// gateway is also given partial outputs in batches, from which another worker can go on).
package struct Worker: Sendable {
    /// Why the worker is over.
    package enum End: Sendable, Equatable {
        /// As it was told.
        case stopped
        /// It cannot work any more.
        case failed(check: String, reason: String)
    }

    let service: LocalService
    let settings: WorkerSettings
    let logger: Logger
    let table: JobTable
    let events: WorkerEvents
    /// Where the gateway's connections are, and where texts are gathered and posted: one thread, and none is woken for another.
    let eventLoop: any EventLoop
    let executor: EventLoopTaskExecutor

    package init(service: LocalService, settings: WorkerSettings, logger: Logger, events: WorkerEvents = WorkerEvents()) {
        self.service = service
        self.settings = settings
        self.logger = logger
        self.events = events
        table = JobTable(capacity: settings.concurrency)
        eventLoop = MultiThreadedEventLoopGroup.singleton.any()
        executor = EventLoopTaskExecutor(eventLoop)
    }

    /// Works until `stop` returns (then finishes what runs, within the grace) or nothing works any more.
    package func run(stop: @escaping @Sendable () async -> Void) async -> End {
        let http = GatewayClient.makeClient(connections: settings.concurrency + 8, on: eventLoop)
        let client = GatewayClient(client: http, key: settings.key, agent: settings.agent, logger: logger)
        let poster = BatchPoster(addresses: settings.addresses, client: client, table: table, patience: settings.postPatience, on: eventLoop)
        let end = await withTaskGroup(of: End?.self) { group in
            let pings = PingLoop(settings: settings, client: client, table: table)
            // Pings go on while jobs finish.
            let pinging = Task { await pings.run() }
            group.addTask {
                await stop()
                return .stopped
            }
            let taking = Task(executorPreference: executor) { await takeLoop(client, poster) }
            group.addTask { await withTaskCancellationHandler { await taking.value } onCancel: { taking.cancel() } }
            group.addTask { await StopLoop(settings: settings, client: client, table: table, logger: logger).run() }
            group.addTask { await EngineWatch(settings: settings, generator: service.model.generator).run() }
            let posting = Task(executorPreference: executor) { await poster.run() }
            var end = End.stopped
            for await result in group {
                guard let result else { continue }
                end = result
                break
            }
            table.beginDraining()
            if case .failed(let check, let reason) = end {
                logger.error("the worker ends: \(reason)")
                await pings.reportUnhealthy(check: check, reason: reason)
                table.stopAll()
            } else {
                if poster.isWanted, await pings.leave() {
                    // The poll is answered now. Jobs that were on their way are not lost in a connection that is cut.
                    await Patience.within(seconds: 3) { _ = await taking.value }
                }
                taking.cancel()
                await finishJobs()
            }
            group.cancelAll()
            poster.close()
            await Patience.within(seconds: end == .stopped ? 5 : 2) { await posting.value }
            posting.cancel()
            pinging.cancel()
            return end
        }
        try? await http.shutdown()
        return end
    }

    /// Lets running jobs finish within the grace; what does not goes back to the gateway, for another worker. (Where there is no way to say so, the
    /// gateway finds out by itself.)
    private func finishJobs() async {
        let count = table.jobs.count
        logger.info("stopping; \(count) job\(count == 1 ? "" : "s") running")
        await Patience.within(seconds: settings.stopGrace) { await table.waitUntilEmpty() }
        let left = table.jobs.count
        if left > 0 {
            logger.warning("giving back \(left) job\(left == 1 ? "" : "s") that did not finish in \(settings.stopGrace) s")
            table.giveAllBack()
            await Patience.within(seconds: 5) { await table.waitUntilEmpty() }
        }
    }
}
