/// One entry of the hand-off and where it goes.
struct Delivery: Sendable {
    let stream: OutputStream
    let entry: OutputEntry
}

/// Takes each step's hand-off on a thread of its own and spreads it over the requests' streams, so that waking readers costs the engine
/// thread nothing.
final class DeliveryThread: Sendable {
    private struct Outbox {
        var deliveries: [Delivery] = []
        var isClosed = false
    }

    private let outbox = Mailbox(Outbox())

    func start() {
        startThread { [self] in run() }
    }

    /// Hands `deliveries` over and empties it. The two sides swap buffers, so that nothing is allocated once warm.
    func hand(over deliveries: inout [Delivery]) {
        if deliveries.isEmpty { return }
        outbox.post { outbox in
            if outbox.deliveries.isEmpty {
                swap(&outbox.deliveries, &deliveries)
            } else {
                outbox.deliveries.append(contentsOf: deliveries)
            }
        }
        deliveries.removeAll(keepingCapacity: true)
    }

    /// Ends the thread once everything is delivered.
    func close() { outbox.post { $0.isClosed = true } }

    private func run() {
        var batch: [Delivery] = []
        while true {
            outbox.wait(until: { !$0.deliveries.isEmpty || $0.isClosed }) { swap(&$0.deliveries, &batch) }
            if batch.isEmpty { return }
            for delivery in batch { delivery.stream.push(delivery.entry) }
            for delivery in batch { delivery.stream.wake() }
            batch.removeAll(keepingCapacity: true)
        }
    }
}
