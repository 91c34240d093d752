import Glibc
import Logging
import Worker

/// Log lines as the place wants them: JSON on standard output under Runpod, plain text on standard error elsewhere.
enum WorkerLogging {
    static func logger(_ environment: [String: String]) -> Logger {
        let isDeployed = environment["RUNPOD_ENDPOINT_ID"].map { !$0.isEmpty } ?? false
        var logger = Logger(label: "needletail") { label in
            if isDeployed { return JSONLineLogHandler { StandardOutput.write($0) } }
            return StreamLogHandler.standardError(label: label)
        }
        logger.logLevel = level(environment["RUNPOD_LOG_LEVEL"] ?? environment["RUNPOD_DEBUG_LEVEL"])
        return logger
    }

    /// The SDK's names; its default, DEBUG, tells of every job, which is `info` here.
    private static func level(_ name: String?) -> Logger.Level {
        switch name?.uppercased() {
        case "NOTSET", "TRACE": .trace
        case "DEBUG": .debug
        case "WARN", "WARNING": .warning
        case "ERROR": .error
        default: .info
        }
    }
}

/// Whole lines to standard output.
enum StandardOutput {
    static func write(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bytes in
            var rest = bytes
            while let base = rest.baseAddress, rest.count > 0 {
                let count = Glibc.write(STDOUT_FILENO, base, rest.count)
                if count < 0 {
                    if errno == EINTR || errno == EAGAIN { continue }
                    return
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }
}
