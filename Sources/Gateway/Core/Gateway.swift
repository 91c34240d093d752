internal import JSON
package import Jobs
package import Logging
package import Synchronization
internal import WorkerProtocol

/// The heart of the gateway: every change of a job goes through here, to the store first, then to whoever waits for it (but for `submitRunning`).
///
/// Others of its kind are extensions: hand-outs, workers' signs of life, the OpenAI route, upkeep.
package final class GatewayCore: Sendable {
    let store: any JobStore
    package let dispatcher = Dispatcher()
    let watch = JobWatch()
    let relays = Relays()
    let longPosts = LongPosts()
    let endpoints: EndpointShelf
    let signals: GatewaySignals
    let logger: Logger
    /// Set once the process is to end: no more jobs are handed out.
    package let isStopping = Mutex(false)
    /// Set when the workers are gone: nothing more will come, requests that wait are answered with what there is.
    let isClosing = Mutex(false)
    let keys: KeyRing
    /// When workers were last looked up because of a key that is not known here.
    let askedForWorkers = Mutex(Timestamp(milliseconds: 0))

    package init(store: any JobStore, endpoints: EndpointShelf, keys: KeyRing, signals: GatewaySignals, logger: Logger) {
        self.store = store
        self.keys = keys
        self.endpoints = endpoints
        self.signals = signals
        self.logger = logger
    }

    // MARK: Jobs

    /// Applies a step and tells of it.
    @discardableResult
    func apply(_ id: JobID, _ event: JobEvent, _ durability: Durability) async throws(StoreError) -> JobVerdict {
        let now = Timestamp.now
        let verdicts = try await apply([JobStep(id, event, at: now)], durability)
        guard let verdict = verdicts.first else { return .unknown }
        settle(event, verdict, at: now)
        return verdict
    }

    /// What follows from a step that the store has applied.
    func settle(_ event: JobEvent, _ verdict: JobVerdict, at now: Timestamp) {
        guard case .applied(let job) = verdict else {
            // The first post was carried out, and nobody was told, because the store's answer got lost.
            if case .repeated(let job) = verdict, case .finish = event { watch.tell(job.id, .poke) }
            return
        }
        switch event {
        case .take: break
        case .append: watch.tell(job.id, .poke)
        case .drain: break
        case .progress: watch.tell(job.id, .changed(job))
        case .retain: watch.tell(job.id, .changed(job))
        case .finish(let worker, _, let outcome):
            dispatcher.dequeue(job.id, job.endpoint)
            dispatcher.release(job.id, from: worker, isDone: true, at: now)
            switch outcome {
            case .completed(let output): ended(job, JobResult(output: output))
            case .failed(let error, let output): ended(job, JobResult(output: output, error: error))
            }
        case .cancel: stopped(job, JobResult(), at: now)
        case .timeOut(let reason), .fail(let reason): stopped(job, JobResult(error: reason), at: now)
        case .lose(let worker, _, let reason, _):
            dispatcher.release(job.id, from: worker, isDone: false, at: now)
            signals.lost(job, reason)
            if job.state.isTerminal { ended(job, JobResult(error: JobMachine.lossError(job, reason))) } else { requeued(job) }
        case .giveBack(let worker, _):
            dispatcher.release(job.id, from: worker, isDone: false, at: now)
            requeued(job)
        case .retry: requeued(job, toFront: false)
        }
    }

    private func requeued(_ job: Job, toFront: Bool = true) {
        watch.tell(job.id, .changed(job))
        begin(dispatcher.enqueue(QueuedJob(job: job), toFront: toFront))
    }

    private func ended(_ job: Job, _ result: JobResult) {
        signals.ended(job)
        watch.tell(job.id, .ended(job, result))
    }

    /// Ended by us: a worker that has the job is told.
    private func stopped(_ job: Job, _ result: JobResult, at now: Timestamp) {
        dispatcher.dequeue(job.id, job.endpoint)
        callOff(job.id, job.endpoint, at: now)
        ended(job, result)
    }

    /// Tells whoever has the job to stop it. A worker that goes on with it nevertheless is drained after a while.
    func callOff(_ job: JobID, _ endpoint: EndpointID, at now: Timestamp) {
        for worker in dispatcher.holders(of: job, endpoint) {
            dispatcher.stop(job, on: worker)
            _ = dispatcher.update(worker) { $0.lingering[job] = now }
            dispatcher.release(job, from: worker, isDone: false, at: now)
        }
    }

    /// A worker's job is lost with it: back into the queue, or failed.
    func lose(_ job: JobID, _ held: WorkerSeat.Held, on worker: WorkerID, in endpoint: EndpointID, _ reason: String) async {
        let limit = relays.canGoOn(job) ? endpoints.definition(endpoint)?.maxRetries ?? 1 : 0
        do {
            let verdict = try await apply(job, .lose(worker: worker, attempt: held.attempt, reason: reason, limit: limit), .synced)
            // It was not the worker's any more: the seat was behind.
            if !verdict.isApplied { dispatcher.release(job, from: worker, isDone: false, at: .now) }
        } catch {
            logger.error("a lost job could not be put back: \(error)", metadata: ["job": "\(job)", "worker": "\(worker)"])
        }
    }
}
