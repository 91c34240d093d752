internal import HTTPTypes
internal import Jobs
internal import NIOCore
internal import NIOHTTPTypes
internal import Synchronization

/// Where a stream's chunks leave for the client: straight onto its connection, on the connection's event loop, as long as the client reads as fast as
/// they come and its task has nothing to write itself. A turn of the task for each chunk would cost several times the rest of the chunk's way.
///
/// Order is kept because chunks wait in the relay until whoever has the word collects them: this, or the task (`Relays.collect`).
final class StreamOutlet: Sendable {
    private let reader: AnswerReader
    private let channel: any Channel
    private let hasSpoken = Atomic<Bool>(false)
    /// Shared with the task: how a stream is framed shows with its first chunk.
    let events = Mutex(EventText())

    init(_ reader: AnswerReader, _ channel: any Channel) {
        self.reader = reader
        self.channel = channel
    }

    private var relays: Relays { reader.core.relays }

    /// The task has written what it had, and waits.
    func open() {
        relays.setDirect(reader.id, true)
        nudge()
    }

    /// The task writes the end.
    func close() { relays.setDirect(reader.id, false) }

    /// There are new chunks. From any thread.
    func nudge() {
        if channel.eventLoop.inEventLoop { drain() } else { channel.eventLoop.execute { self.drain() } }
    }

    private func drain() {
        // The task waits for a client that is slow.
        guard channel.isWritable, let chunks = relays.collectDirectly(reader.id) else {
            reader.box.put(.relayed)
            return
        }
        let bytes = events.withLock { events in
            for chunk in chunks { events.add(chunk) }
            return events.take()
        }
        guard !bytes.isEmpty else { return }
        if !hasSpoken.exchange(true, ordering: .relaxed) { reader.heard() }
        channel.writeAndFlush(HTTPResponsePart.body(ByteBuffer(bytes: bytes)), promise: nil)
    }

    /// Whether something was written here since the last call.
    func takeSpoken() -> Bool { hasSpoken.exchange(false, ordering: .relaxed) }
}
