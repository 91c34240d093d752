import Glibc
import Server
import Worker

/// Where a worker is: its gateway and its name, out of the environment (Runpod's variables).
struct WorkerPlace {
    let addresses: GatewayAddresses?
    let workerID: String
    private let environment: [String: String]
    /// Why the addresses cannot be used.
    let problem: String?

    init(_ environment: [String: String]) {
        func text(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        self.environment = environment
        workerID = text("RUNPOD_POD_ID") ?? Self.randomID()
        guard let take = text("RUNPOD_WEBHOOK_GET_JOB") else {
            addresses = nil
            problem = nil
            return
        }
        guard let done = text("RUNPOD_WEBHOOK_POST_OUTPUT") else {
            addresses = nil
            problem = "RUNPOD_WEBHOOK_GET_JOB is set, but RUNPOD_WEBHOOK_POST_OUTPUT is not: there is nowhere to post results to"
            return
        }
        let stream = text("RUNPOD_WEBHOOK_POST_STREAM") ?? text("RUNPOD_WEBHOOK_JOB_STREAM") ?? done.replacing("/job-done/", with: "/job-stream/")
        for (name, url) in [("RUNPOD_WEBHOOK_GET_JOB", take), ("RUNPOD_WEBHOOK_POST_OUTPUT", done), ("RUNPOD_WEBHOOK_POST_STREAM", stream)]
        where !url.hasPrefix("http://") && !url.hasPrefix("https://") {
            addresses = nil
            problem = "\(name) is '\(url)', but must be an address that begins with http:// or https://"
            return
        }
        if let interval = text("RUNPOD_PING_INTERVAL"), Int(interval) == nil {
            addresses = nil
            problem = "RUNPOD_PING_INTERVAL is '\(interval)', but must be a whole number of milliseconds"
            return
        }
        addresses = GatewayAddresses(take: take, done: done, stream: stream, ping: text("RUNPOD_WEBHOOK_PING"), worker: workerID)
        problem = nil
    }

    /// What is known before the configuration.
    var bareSettings: WorkerSettings? {
        guard let addresses else { return nil }
        var settings = WorkerSettings(addresses: addresses, workerID: workerID)
        settings.key = environment["RUNPOD_AI_API_KEY"] ?? ""
        settings.hostname = environment["RUNPOD_POD_HOSTNAME"] ?? "unknown"
        settings.agent = "needletail/\(ServerVersion.text)"
        if let interval = environment["RUNPOD_PING_INTERVAL"].flatMap({ Int($0) }) { settings.pingInterval = Double(min(max(100, interval), 3_600_000)) / 1000 }
        return settings
    }

    func settings(_ configuration: WorkerConfiguration) -> WorkerSettings {
        let nowhere = GatewayAddresses(take: "", done: "", stream: "", ping: nil, worker: workerID)
        var settings = bareSettings ?? WorkerSettings(addresses: nowhere, workerID: workerID)
        settings.concurrency = configuration.concurrency
        settings.batching = configuration.batching
        settings.nativeShape = configuration.nativeShape
        settings.rawOpenAIOutput = configuration.rawOpenAIOutput
        settings.gatewayLostTimeout = configuration.gatewayLostTimeout
        settings.stopGrace = configuration.stopGrace
        settings.stuckAfter = configuration.stepTimeout
        settings.seed = configuration.seed
        return settings
    }

    private static func randomID() -> String {
        String(UInt64.random(in: .min ... .max), radix: 16) + String(UInt64.random(in: .min ... .max), radix: 16)
    }
}
