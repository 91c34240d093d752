/// The body of `POST /v1/load_lora_adapter`.
package struct LoadAdapterRequest: Sendable {
    /// Empty where the request has none.
    package var name: String
    package var path: String
    /// Whether an adapter of this name may be replaced.
    package var inPlace: Bool

    package init(body bytes: [UInt8]) throws(APIError) {
        let body = try Fields(body: bytes)
        name = try body.string("lora_name") ?? ""
        path = try body.string("lora_path") ?? ""
        inPlace = try body.bool("load_inplace") ?? false
    }
}

/// The body of `POST /v1/unload_lora_adapter`.
package struct UnloadAdapterRequest: Sendable {
    package var name: String

    package init(body bytes: [UInt8]) throws(APIError) {
        name = try Fields(body: bytes).string("lora_name") ?? ""
    }
}
