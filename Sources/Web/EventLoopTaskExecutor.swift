package import NIOCore

/// Runs Swift tasks on one event loop, so that a stream's reader and the socket it writes to share a thread: no wake-up per chunk.
///
/// Work that computes for long (templates, tokenizing a prompt) must stay off it.
package final class EventLoopTaskExecutor: TaskExecutor {
    private let eventLoop: any EventLoop

    package init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
