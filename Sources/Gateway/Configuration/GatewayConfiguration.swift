package import JSON
package import Jobs

/// A gateway's settings, as its definition file gives them.
package struct GatewayConfiguration: Sendable {
    package var host = "127.0.0.1"
    package var port = 8080
    /// Where others reach it, such as `https://llm.example.org`; nil: where it listens.
    package var publicURL: String?
    /// `sqlite:PATH` or `postgres://…`.
    package var store: String?
    /// Logs of workers, the SQLite file.
    package var stateDirectory: String?
    /// PEM files.
    package var certificateFile: String?
    package var privateKeyFile: String?
    package var keys: [AccessKey] = []
    package var rateLimits = RateLimits.standard
    package var endpoints: [EndpointDefinition] = []
    /// Seconds that running jobs get when the gateway ends.
    package var shutdownGrace = 30
    package var eventLoopThreads: Int?
    /// Price of a worker for an hour, for the dashboard; in whatever currency.
    package var pricePerWorkerHour: Double?

    package init() {}

    /// - Parameters:
    ///   - file: path of the file that `json` was read from; keys in clear are only taken from a file that nobody else can read.
    ///   - environment: for `${NAME}` in keys.
    package init(_ json: JSONValue, file: String?, environment: [String: String]) throws(DefinitionError) {
        let place = file ?? "the configuration"
        var reader = try SettingsReader(json, place)
        if let text = try reader.string("listen") { try listen(on: text) }
        publicURL = try reader.string("publicURL")
        store = try reader.string("store")
        stateDirectory = try reader.string("stateDirectory")
        if let value = reader.take("tls") {
            var tls = try SettingsReader(value, "\(place): tls")
            certificateFile = try tls.string("certificate")
            privateKeyFile = try tls.string("key")
            try tls.finish()
            guard certificateFile != nil, privateKeyFile != nil else { throw DefinitionError("\(place): tls needs 'certificate' and 'key', two PEM files") }
        }
        if let value = reader.take("keys") { keys = try ConfiguredKeys.read(value, file: file, environment: environment) }
        if let value = reader.take("rateLimits") { rateLimits = try RateLimits(value, "\(place): rateLimits") }
        shutdownGrace = try reader.int("shutdownGrace", 0...3600) ?? shutdownGrace
        eventLoopThreads = try reader.int("eventLoopThreads", 1...256)
        pricePerWorkerHour = try reader.number("pricePerWorkerHour", 0...1_000_000)
        for (name, value) in try reader.members("endpoints") { endpoints.append(try EndpointDefinition(EndpointID(name), value)) }
        try reader.finish()
    }

    /// `HOST:PORT`, `[IPV6]:PORT` or `:PORT`.
    package mutating func listen(on text: String) throws(DefinitionError) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]), (0...65_535).contains(port) else {
            throw DefinitionError("listen: '\(text)' must be HOST:PORT, such as 127.0.0.1:8080")
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        self.host = host.isEmpty ? "127.0.0.1" : host
        self.port = port
    }

    /// Whether only this machine can reach it.
    package var isLoopback: Bool { LoopbackName.matches(host) }

    /// Refuses what would be open to the network.
    package func check() throws(DefinitionError) {
        guard isLoopback || keys.contains(where: { $0.role == .client }) else {
            throw DefinitionError(
                "the gateway would listen on \(host) without a key that protects it: add one under 'keys' (needletail gateway-key NAME makes one), or listen on 127.0.0.1")
        }
    }

    /// Refuses what a gateway cannot change while it runs, too. Above all, whether keys are needed goes by the address in use.
    /// - start: what it was started with.
    package func check(since start: GatewayConfiguration) throws(DefinitionError) {
        guard host == start.host, port == start.port else {
            throw DefinitionError("'listen' has changed from \(start.host):\(start.port) to \(host):\(port), which needs a restart; nothing was taken over")
        }
        guard certificateFile == start.certificateFile, privateKeyFile == start.privateKeyFile else {
            throw DefinitionError("'tls' has changed, which needs a restart; nothing was taken over")
        }
        try check()
    }
}
