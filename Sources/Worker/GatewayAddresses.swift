/// The URLs of the worker protocol, from templates (Runpod's SDK 1.12).
///
/// `$ID` is the worker in the take URL and the job in the done and stream URLs; `$RUNPOD_POD_ID` is the worker everywhere but in the take URL.
package struct GatewayAddresses: Sendable, Equatable {
    private let take: String
    private let done: String
    private let stream: String
    private let pingBase: String?

    /// - Parameters:
    ///   - take, done, stream, ping: templates as the environment gives them.
    ///   - worker: this worker's id.
    package init(take: String, done: String, stream: String, ping: String?, worker: String) {
        let id = Self.escaped(worker)
        self.take = take.replacing("$ID", with: id)
        self.done = done.replacing("$RUNPOD_POD_ID", with: id)
        self.stream = stream.replacing("$RUNPOD_POD_ID", with: id)
        pingBase = ping?.replacing("$RUNPOD_POD_ID", with: id)
    }

    /// A held poll for jobs.
    /// - Parameter count: jobs that there is room for; above 1 the batch URL is asked, where there is one.
    package func take(_ count: Int, hasJobs: Bool) -> String {
        let running = hasJobs ? "1" : "0"
        guard count > 1, take.contains("/job-take/") else { return Self.with(take, [("job_in_progress", running)]) }
        let batch = take.replacing("/job-take/", with: "/job-take-batch/", maxReplacements: 1)
        return Self.with(batch, [("batch_size", String(count)), ("job_in_progress", running)])
    }

    /// nil: the take URL is not of the known form, so there is nowhere to ask what to stop.
    package var stop: String? {
        take.contains("/job-take/") ? take.replacing("/job-take/", with: "/job-stop/", maxReplacements: 1) : nil
    }

    package func done(_ job: String, isStream: Bool) -> String { post(done, job, isStream: isStream) }
    package func stream(_ job: String) -> String { post(stream, job, isStream: false) }

    /// Where pieces of all jobs go at once: the stream URL without the job.
    package var streamBatch: String {
        stream.replacing("/job-stream/", with: "/job-stream-batch/", maxReplacements: 1).replacing("/$ID", with: "", maxReplacements: 1)
    }

    /// Where batches of pieces go one after another in one request.
    package var streamBatches: String { streamBatch.replacing("/job-stream-batch/", with: "/job-stream-batches/", maxReplacements: 1) }

    /// nil: nobody wants to hear.
    package func ping(_ parameters: [(String, String)]) -> String? { pingBase.map { Self.with($0, parameters) } }

    private func post(_ template: String, _ job: String, isStream: Bool) -> String {
        Self.with(template.replacing("$ID", with: Self.escaped(job)), [("isStream", isStream ? "true" : "false")])
    }

    /// Appends parameters, the values escaped.
    private static func with(_ url: String, _ parameters: [(String, String)]) -> String {
        var text = url
        for (name, value) in parameters { text += (text.contains("?") ? "&" : "?") + name + "=" + escaped(value, keeping: ",") }
        return text
    }

    /// RFC 3986's unreserved characters stay, everything else is percent-encoded.
    private static func escaped(_ text: String, keeping extra: String = "") -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                bytes.append(byte)
            case _ where extra.utf8.contains(byte): bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
