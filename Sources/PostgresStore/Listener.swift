internal import Glibc
internal import Jobs
internal import Synchronization

/// Listens for what other replicas change, on a thread and a connection of its own, and passes it on.
final class Listener: Sendable {
    private let url: String
    private let replica: String
    /// A pipe that wakes the thread for its end: closed for writing then.
    private let bell: CInt
    private let cord: Mutex<CInt>
    private let isOver = Atomic<Bool>(false)
    private let audience = Mutex<[Subscriber]>([])

    private struct Subscriber {
        let continuation: AsyncStream<StoreChange>.Continuation
        /// Changes did not fit into its buffer: it must look at everything.
        var hasMissed = false
    }

    static func make(url: String, replica: String) throws(StoreError) -> Listener {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { throw .unavailable("the system refused a pipe: \(String(cString: strerror(errno)))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return Listener(url, replica, bell: ends[0], cord: ends[1])
    }

    private init(_ url: String, _ replica: String, bell: CInt, cord: CInt) {
        self.url = url
        self.replica = replica
        self.bell = bell
        self.cord = Mutex(cord)
    }

    deinit { Glibc.close(bell) }

    func subscribe() -> AsyncStream<StoreChange> {
        let (stream, continuation) = AsyncStream.makeStream(of: StoreChange.self, bufferingPolicy: .bufferingOldest(65_536))
        audience.withLock { audience in
            if isOver.load(ordering: .relaxed) { continuation.finish() } else { audience.append(Subscriber(continuation: continuation)) }
        }
        return stream
    }

    func stop() {
        isOver.store(true, ordering: .relaxed)
        cord.withLock { cord in
            if cord >= 0 { Glibc.close(cord) }
            cord = -1
        }
        audience.withLock { audience in
            for subscriber in audience { subscriber.continuation.finish() }
            audience = []
        }
    }

    /// The thread's body. Blocks until `stop`.
    /// - onReady: called once it listens for the first time.
    func run(onReady: () -> Void) {
        let connection = Connection(url)
        var backoff = Backoff()
        var wasReady = false
        while !isOver.load(ordering: .relaxed) {
            do {
                try connection.open()
                try connection.execute("LISTEN needletail")
                if wasReady { publish([.everything]) } else { onReady() }
                wasReady = true
                backoff = Backoff()
                while try listen(connection) {}
            } catch {
                connection.close()
                backoff.wait()
            }
        }
    }

    /// - Returns: false when it is over.
    private func listen(_ connection: Connection) throws -> Bool {
        guard let socket = connection.socket else { return false }
        let payloads = try connection.notifications()
        publish(payloads.flatMap { Notice.changes($0, besides: replica) })
        var descriptors = [pollfd(fd: socket, events: Int16(POLLIN), revents: 0), pollfd(fd: bell, events: Int16(POLLIN), revents: 0)]
        poll(&descriptors, 2, -1)
        return !isOver.load(ordering: .relaxed)
    }

    private func publish(_ changes: [StoreChange]) {
        guard !changes.isEmpty else { return }
        audience.withLock { audience in
            var gone: [Int] = []
            for index in audience.indices {
                for change in changes {
                    switch audience[index].continuation.yield(audience[index].hasMissed ? .everything : change) {
                    case .enqueued: audience[index].hasMissed = false
                    case .dropped: audience[index].hasMissed = true
                    case .terminated: gone.append(index)
                    @unknown default: break
                    }
                    if gone.last == index { break }
                }
            }
            for index in gone.reversed() { audience.remove(at: index) }
        }
    }
}
