package import Jobs
package import Logging
internal import Synchronization

/// What is posted about an ended job.
package struct WebhookContent: Sendable {
    /// JSON: the status payload with `input` and `webhook`.
    package var body: [UInt8]
    package var allowsPrivate: Bool

    package init(body: [UInt8], allowsPrivate: Bool) {
        self.body = body
        self.allowsPrivate = allowsPrivate
    }
}

package struct WebhookSettings: Sendable, Equatable {
    /// In all.
    package var mostTries = 3
    package var secondsBetweenTries = 10
    package var timeoutSeconds = 10
    /// Posts at a time, and to one host.
    package var concurrent = 32
    package var concurrentPerHost = 16
    /// How often the store is asked when nobody says that there is something to do.
    package var pollInterval = Duration.seconds(1)

    package init() {}
}

/// How a try ended.
package enum WebhookResult: String, Sendable, CaseIterable {
    case delivered
    /// Tried again later.
    case retried
    /// The last try failed.
    case givenUp = "given_up"
    /// The target is not allowed.
    case refused
    /// The job is gone.
    case dropped
}

/// Sends webhooks out of the store's outbox, at least once each: a delivery is leased from the store for longer than a try takes, and one whose
/// gateway dies meanwhile is due again.
package final class WebhookSender: Sendable {
    /// Where deliveries come from; a `JobStore`'s two methods.
    package struct Outbox: Sendable {
        package let due: @Sendable (_ now: Timestamp, _ limit: Int, _ leaseMilliseconds: Int) async throws -> [WebhookDelivery]
        package let settle: @Sendable (_ id: JobID, _ tries: Int, _ next: Timestamp?) async throws -> Void

        package init(
            due: @escaping @Sendable (_ now: Timestamp, _ limit: Int, _ leaseMilliseconds: Int) async throws -> [WebhookDelivery],
            settle: @escaping @Sendable (_ id: JobID, _ tries: Int, _ next: Timestamp?) async throws -> Void
        ) {
            self.due = due
            self.settle = settle
        }

        package init(_ store: any JobStore) {
            due = { now, limit, lease in try await store.dueWebhooks(at: now, limit: limit, leaseMilliseconds: lease) }
            settle = { id, tries, next in try await store.settleWebhook(id, tries: tries, next: next) }
        }
    }

    private struct Load {
        var total = 0
        var byHost: [String: Int] = [:]
    }

    private let outbox: Outbox
    private let connections: WebhookConnections
    private let settings: WebhookSettings
    private let content: @Sendable (JobID) async throws -> WebhookContent?
    private let onResult: @Sendable (WebhookResult) -> Void
    private let logger: Logger
    private let load = Mutex(Load())
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    /// - content: what to post about a job; nil where the job is gone. Throws where that cannot be said now: the delivery comes back with its lease's end.
    /// - onResult: told of each try's end.
    package init(
        _ outbox: Outbox, _ connections: WebhookConnections, _ settings: WebhookSettings = WebhookSettings(), logger: Logger,
        onResult: @escaping @Sendable (WebhookResult) -> Void = { _ in }, content: @escaping @Sendable (JobID) async throws -> WebhookContent?
    ) {
        self.outbox = outbox
        self.connections = connections
        self.settings = settings
        self.content = content
        self.onResult = onResult
        self.logger = logger
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Says that there may be something to send: a job with a webhook ended.
    package func nudge() { wake.yield() }

    /// Sends until the task is cancelled; once for each sender.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in
                while (try? await Task.sleep(for: settings.pollInterval)) != nil { wake.yield() }
                wake.finish()
            }
            wake.yield()
            for await _ in wakes {
                await sendDue(&group)
            }
        }
        await connections.close()
    }

    /// Starts all that is due and fits.
    private func sendDue(_ group: inout DiscardingTaskGroup) async {
        while !Task.isCancelled {
            let free = settings.concurrent - load.withLock { $0.total }
            guard free > 0 else { return }
            let due: [WebhookDelivery]
            do {
                due = try await outbox.due(.now, free, leaseMilliseconds)
            } catch {
                logger.warning("webhooks cannot be read from the store; trying again", metadata: ["error": "\(error)"])
                return
            }
            for delivery in due {
                load.withLock { $0.total += 1 }
                group.addTask { [self] in
                    await send(delivery)
                    load.withLock { $0.total -= 1 }
                    wake.yield()
                }
            }
            guard due.count == free else { return }
        }
    }

    /// Longer than a try with all that belongs to it: a name's look-up cannot be broken off and may take half a minute.
    private var leaseMilliseconds: Int { (settings.timeoutSeconds + 45) * 1000 }

    private func send(_ delivery: WebhookDelivery) async {
        let metadata: Logger.Metadata = ["job": "\(delivery.job)", "try": "\(delivery.tries + 1)"]
        let content: WebhookContent
        do {
            guard let found = try await self.content(delivery.job) else { return await end(delivery, .dropped) }
            content = found
        } catch {
            // Only a job that is known to be gone is dropped: this one is due again when its lease ends.
            return logger.warning("a webhook's job cannot be read; it is sent later", metadata: metadata.merging(["error": "\(error)"]) { $1 })
        }
        let target: WebhookTarget
        do throws(WebhookRefusal) {
            target = try WebhookTarget.check(url: delivery.url, allowsPrivate: content.allowsPrivate)
        } catch {
            logger.warning("webhook refused", metadata: metadata.merging(["error": "\(error)"]) { $1 })
            return await end(delivery, .refused)
        }
        // One receiver that hangs must not hold up all others.
        guard enter(target.host) else { return await settle(delivery, tries: delivery.tries, next: .now + settings.secondsBetweenTries * 1000) }
        defer { leave(target.host) }
        var failure: String
        do {
            let status = try await connections.post(
                content.body, to: target, headers: Self.headers, allowsPrivate: content.allowsPrivate, timeout: .seconds(settings.timeoutSeconds))
            if (200..<300).contains(status) { return await end(delivery, .delivered) }
            failure = "status \(status)"
        } catch let refusal as WebhookRefusal {
            logger.warning("webhook refused", metadata: metadata.merging(["host": "\(target.host)", "error": "\(refusal)"]) { $1 })
            return await end(delivery, .refused)
        } catch {
            // The gateway is being stopped: the lease ends by itself, and the try does not count.
            if Task.isCancelled { return }
            failure = "\(error)"
        }
        let isLast = delivery.tries + 1 >= settings.mostTries
        // The host only: paths of webhooks often hold secrets.
        logger.warning(
            isLast ? "webhook given up" : "webhook failed; it is tried again", metadata: metadata.merging(["host": "\(target.host)", "error": "\(failure)"]) { $1 })
        await end(delivery, isLast ? .givenUp : .retried)
    }

    private static let headers = [(name: "Content-Type", value: "application/json"), (name: "User-Agent", value: "needletail-gateway")]

    private func end(_ delivery: WebhookDelivery, _ result: WebhookResult) async {
        await settle(delivery, tries: delivery.tries + 1, next: result == .retried ? .now + settings.secondsBetweenTries * 1000 : nil)
        onResult(result)
    }

    /// Not settled it would be sent again, so a store that is busy is asked a few times.
    private func settle(_ delivery: WebhookDelivery, tries: Int, next: Timestamp?) async {
        for pause in [0.1, 0.5, 2] {
            do {
                return try await outbox.settle(delivery.job, tries, next)
            } catch {
                logger.warning("a webhook's result cannot be stored; trying again", metadata: ["job": "\(delivery.job)", "error": "\(error)"])
            }
            guard (try? await Task.sleep(for: .seconds(pause))) != nil else { return }
        }
    }

    private func enter(_ host: String) -> Bool {
        load.withLock { load in
            guard load.byHost[host, default: 0] < settings.concurrentPerHost else { return false }
            load.byHost[host, default: 0] += 1
            return true
        }
    }

    private func leave(_ host: String) {
        load.withLock { load in
            let left = load.byHost[host, default: 0] - 1
            load.byHost[host] = left > 0 ? left : nil
        }
    }
}
