internal import Hummingbird
internal import JSON
internal import Jobs

/// Keys made over the admin API. Those of the configuration file are none of its business.
extension AdminRoutes {
    func keys() async throws(ClientError) -> Response {
        let keys = try await storedKeys()
        return Reply.json { writer in
            writer.raw("{\"keys\":[")
            for (place, key) in keys.enumerated() {
                if place > 0 { writer.raw(",") }
                key.write(into: &writer)
            }
            writer.raw("]}")
        }
    }

    /// `{"name", "role", "endpoints", "requestsPer10Seconds"}`; the key's text is in the answer and nowhere else.
    func makeKey(_ call: GatewayCall) async throws(ClientError) -> Response {
        let body = try await call.body(limit: 1 << 16, tooLarge: .bad("the request is larger than 64 KiB"))
        let text: AccessKeyText
        let key: AccessKey
        do {
            var reader = try SettingsReader(try JSONValue(parsing: body), "the request")
            guard let name = try reader.string("name"), name.isURLName else {
                throw DefinitionError("the request: 'name' is missing, or holds other than letters, digits, '-' and '_'")
            }
            let role: AccessKey.Role = try reader.choice("role") ?? .client
            let endpoints = try ConfiguredKeys.endpoints(&reader, "the request")
            let limit = try reader.int("requestsPer10Seconds", 1...1_000_000_000)
            try reader.finish()
            text = AccessKeyText.make(role: role)
            key = AccessKey(name: name, role: role, hash: text.hash, endpoints: endpoints, requestsPer10Seconds: limit, createdAt: .now)
        } catch {
            throw .bad("\(error)")
        }
        if let refusal = await keyChanges.take({ await add(key) }) { throw refusal }
        return Reply.json { writer in
            writer.raw("{\"key\":")
            writer.string(text.text)
            writer.raw(",\"name\":")
            writer.string(key.name)
            writer.raw("}")
        }
    }

    private func add(_ key: AccessKey) async -> ClientError? {
        do throws(ClientError) {
            guard try await !storedKeys().contains(where: { $0.name == key.name }), !gate.keys.isConfigured(key.name) else {
                throw ClientError(status: 409, message: "there is a key '\(key.name)' already; remove it first, or give this one another name")
            }
            do { try await core.store.saveKey(key) } catch { throw ClientError(error) }
            if let problem = await live.reload(readsFile: false) {
                throw ClientError(status: 500, message: "key '\(key.name)' could not be taken over: \(problem); remove it and make it anew")
            }
            return nil
        } catch { return error }
    }

    func removeKey(_ name: String) async throws(ClientError) -> Response {
        guard try await storedKeys().contains(where: { $0.name == name }) else {
            guard !gate.keys.isConfigured(name) else {
                throw ClientError(status: 409, message: "key '\(name)' stands in the configuration file; remove it there and reload")
            }
            // It may have been removed before, and be in force here still.
            try await takeOver("key '\(name.prefix(200))' is not in the store")
            throw .notFound("there is no key '\(name.prefix(200))'")
        }
        do { try await core.store.removeKey(name) } catch { throw ClientError(error) }
        try await takeOver("key '\(name)' is removed from the store")
        return Reply.json { $0.raw("{\"removed\":true}") }
    }

    private func storedKeys() async throws(ClientError) -> [AccessKey] {
        do { return try await core.store.keys() } catch { throw ClientError(error) }
    }
}

extension AccessKey {
    func write(into writer: inout JSONWriter) {
        writer.raw("{\"name\":")
        writer.string(name)
        writer.raw(",\"role\":\"")
        writer.raw(role.rawValue)
        writer.raw("\",\"endpoints\":")
        if let endpoints {
            writer.value(.array(endpoints.sorted().map { .string($0.text) }))
        } else {
            writer.raw("null")
        }
        writer.raw(",\"createdAt\":")
        writer.int(createdAt.milliseconds)
        writer.raw("}")
    }
}
