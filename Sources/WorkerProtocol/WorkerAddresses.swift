/// The URLs and variables by which a worker finds its gateway (Runpod's worker protocol, SDK 1.12).
///
/// The gateway writes them, the worker expands them: `$ID` is the worker in the take URL and the job in the others, `$RUNPOD_POD_ID` the worker.
package struct WorkerAddresses: Sendable, Equatable {
    package var take: String
    package var done: String
    package var stream: String
    package var ping: String

    /// Addresses for one worker, its id filled in.
    /// - Parameters:
    ///   - base: of the gateway, without a slash at the end, such as `http://127.0.0.1:8080`.
    ///   - worker: nil leaves `$ID` and `$RUNPOD_POD_ID` for the worker to fill in, as workers that come by themselves need it.
    package init(base: String, endpoint: String, worker: String?) {
        let root = "\(base)/v2/\(endpoint)"
        let id = worker ?? "$RUNPOD_POD_ID"
        // The SDK appends `&key=value`: each address must have a query already. The take address knows only `$ID`.
        take = "\(root)/job-take/\(worker ?? "$ID")?gpu=0"
        done = "\(root)/job-done/\(id)/$ID?gpu=0"
        stream = "\(root)/job-stream/\(id)/$ID?gpu=0"
        ping = "\(root)/ping/\(id)?gpu=0"
    }

    /// The variables that carry them.
    package var environment: [(name: String, value: String)] {
        [
            ("RUNPOD_WEBHOOK_GET_JOB", take), ("RUNPOD_WEBHOOK_POST_OUTPUT", done), ("RUNPOD_WEBHOOK_POST_STREAM", stream),
            // What an example of the SDK's own tests calls it.
            ("RUNPOD_WEBHOOK_JOB_STREAM", stream), ("RUNPOD_WEBHOOK_PING", ping),
        ]
    }
}
