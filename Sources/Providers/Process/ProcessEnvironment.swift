internal import Glibc

/// What a worker process gets beside its order: enough to find programs, files and the user's settings, and none of the gateway's own
/// settings (database address, keys).
package enum ProcessEnvironment {
    package static let passedOn: Set<String> = [
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR",
        "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES",
    ]

    /// - Returns: names with values, each name once; a later one of the order wins over earlier ones.
    static func merge(
        _ ordered: [(name: String, value: String)], _ lookup: (String) -> String? = { name in getenv(name).map { String(cString: $0) } }
    ) throws(ProviderError) -> [String: String] {
        var merged: [String: String] = ["PATH": "/usr/local/bin:/usr/bin:/bin"]
        for name in passedOn { if let value = lookup(name) { merged[name] = value } }
        for (name, value) in ordered {
            guard name.isVariableName else { throw ProviderError("'\(name.shortened(60))' is no name for an environment variable") }
            guard !value.utf8.contains(0) else { throw ProviderError("the value of the environment variable '\(name)' holds a zero byte") }
            merged[name] = value
        }
        return merged
    }

    /// The file to execute.
    /// - Parameter directory: the worker's working directory; nil is ours.
    static func program(_ name: String, path: String, directory: String?) throws(ProviderError) -> String {
        guard !name.isEmpty, !name.utf8.contains(0) else { throw ProviderError("the worker's command is empty or holds a zero byte") }
        if name.contains("/") {
            let file = name.hasPrefix("/") || directory == nil ? name : "\(directory ?? ".")/\(name)"
            guard isFile(file) else { throw ProviderError("the worker's program \(file) does not exist or is no file") }
            guard access(file, X_OK) == 0 else { throw ProviderError("the worker's program \(file) cannot be executed: \(SystemError.text(errno))") }
            // The child changes its folder before it executes.
            return name
        }
        for folder in path.split(separator: ":") where folder.hasPrefix("/") {
            let file = "\(folder)/\(name)"
            if isFile(file), access(file, X_OK) == 0 { return file }
        }
        throw ProviderError("the worker's program '\(name)' is in no folder of PATH (\(path.shortened(400)))")
    }

    private static func isFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }
}

enum SystemError {
    static func text(_ code: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
