internal import Glibc
package import JSON
package import Jobs

/// The keys of a configuration file:
/// `[{"name": "ci", "role": "client", "hash": "sha256:…", "endpoints": ["chat"], "requestsPer10Seconds": 100}, …]`.
/// A key stands there as its hash, as `"key": "${NAME}"` (taken from the environment), or in clear if only the owner can read the file.
package enum ConfiguredKeys {
    /// Shorter ones can be guessed, and one round of SHA-256 would not protect them.
    package static let shortestKeyInBytes = 16

    /// - file: path of the file, whose mode is looked at before a key in clear is taken from it; nil: not from a file.
    /// - Throws: what is wrong, where, without any key's text.
    package static func read(_ json: JSONValue, file: String?, environment: [String: String]) throws(DefinitionError) -> [AccessKey] {
        guard let entries = json.array else { throw DefinitionError("keys: expected a list, found \(json.kind)") }
        var keys: [AccessKey] = []
        for (index, entry) in entries.enumerated() {
            let key = try read(entry, "keys[\(index)]", file, environment)
            guard !keys.contains(where: { $0.name == key.name }) else {
                throw DefinitionError("keys[\(index)]: the name '\(key.name)' is taken by another key; give each its own")
            }
            guard !keys.contains(where: { $0.hash == key.hash }) else {
                throw DefinitionError("keys[\(index)] ('\(key.name)'): the same key stands above under another name; make a key of its own")
            }
            keys.append(key)
        }
        return keys
    }

    private static func read(_ json: JSONValue, _ place: String, _ file: String?, _ environment: [String: String]) throws(DefinitionError) -> AccessKey {
        var reader = try SettingsReader(json, place)
        guard let name = try reader.string("name") else { throw DefinitionError("\(place): a key needs a 'name', for logs and for removing it") }
        guard name.isURLName else { throw DefinitionError("\(place): 'name' may hold letters, digits, '-' and '_' only, 128 at most") }
        let place = "\(place) ('\(name)')"
        let role: AccessKey.Role = try reader.choice("role") ?? .client
        // Taken as values: a message about them must not repeat what they hold.
        let hash = try hash(reader.take("hash"), reader.take("key"), place, file, environment)
        let endpoints = try endpoints(&reader, place)
        let rate = try reader.int("requestsPer10Seconds", 1...100_000_000)
        try reader.finish()
        return AccessKey(name: name, role: role, hash: hash, endpoints: endpoints, requestsPer10Seconds: rate, createdAt: .now)
    }

    /// What a key opens; nil: everything.
    static func endpoints(_ reader: inout SettingsReader, _ place: String) throws(DefinitionError) -> Set<EndpointID>? {
        guard let names = try reader.strings("endpoints") else { return nil }
        guard !names.isEmpty else { throw DefinitionError("\(place): 'endpoints' is empty; leave it out to open all") }
        for name in names where !name.isURLName { throw DefinitionError("\(place): 'endpoints' names '\(name.prefix(80))', which can be no endpoint") }
        return Set(names.map(EndpointID.init))
    }

    private static func hash(
        _ hash: JSONValue?, _ key: JSONValue?, _ place: String, _ file: String?, _ environment: [String: String]
    ) throws(DefinitionError) -> [UInt8] {
        switch (hash, key) {
        case (let hash?, nil):
            guard let bytes = hash.string.flatMap(AccessKeyText.parseHash) else {
                throw DefinitionError("\(place): 'hash' must be 'sha256:' and 64 hexadecimal digits (printf %s KEY | sha256sum)")
            }
            return bytes
        case (nil, let key?):
            guard let written = key.string, !written.isEmpty else { throw DefinitionError("\(place): 'key' must be a text (put it in quotes)") }
            let text: String
            if written.hasPrefix("${"), written.hasSuffix("}") {
                let variable = String(written.dropFirst(2).dropLast())
                guard let value = environment[variable], !value.isEmpty else {
                    throw DefinitionError("\(place): 'key' is taken from the environment variable \(variable), which is not set")
                }
                text = value
            } else {
                if let file { try requirePrivate(file, place) }
                text = written
            }
            guard text.utf8.count >= shortestKeyInBytes, text.utf8.count <= KeyRing.longestKeyInBytes,
                text.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
            else {
                throw DefinitionError(
                    "\(place): 'key' must be \(shortestKeyInBytes) to \(KeyRing.longestKeyInBytes) printable ASCII characters without spaces (openssl rand -hex 32)")
            }
            return AccessKeyText.hash(of: text)
        case (.some, .some): throw DefinitionError("\(place): give 'hash' or 'key', not both")
        case (nil, nil): throw DefinitionError("\(place): give the key's 'hash' (sha256:…) or 'key' (${NAME}, or in clear in a file with mode 0600)")
        }
    }

    private static func requirePrivate(_ path: String, _ place: String) throws(DefinitionError) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw DefinitionError("\(place): the mode of \(path) cannot be read: \(String(cString: strerror(errno)))") }
        let mode = status.st_mode & 0o777
        guard mode & 0o077 == 0 else {
            throw DefinitionError(
                "\(place): 'key' is in clear, and others may read \(path) (mode 0\(String(mode, radix: 8))); chmod 600 it, or give 'hash' or ${NAME} instead")
        }
    }
}
