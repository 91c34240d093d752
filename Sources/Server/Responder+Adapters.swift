internal import Hummingbird
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import OpenAI

/// Loading and unloading adapters at run time, where the operator allows it: a path in a request names files of this machine.
extension Responder {
    func loadAdapter(_ call: Call) async throws(APIError) -> Response {
        try checkAdapterUpdates(call)
        let request = try LoadAdapterRequest(body: try await body(of: call))
        let summary = try await model.adapters.load(name: request.name, path: request.path, inPlace: request.inPlace)
        logger.info("adapter    \(request.name.clipped(to: 200)): \(summary), from \(request.path.clipped(to: 500))")
        return Self.text("Success: LoRA adapter '\(request.name)' added successfully.")
    }

    func unloadAdapter(_ call: Call) async throws(APIError) -> Response {
        try checkAdapterUpdates(call)
        let request = try UnloadAdapterRequest(body: try await body(of: call))
        try model.adapters.unload(name: request.name)
        logger.info("adapter    \(request.name.clipped(to: 200)): unloaded")
        return Self.text("Success: LoRA adapter '\(request.name)' removed successfully.")
    }

    private func checkAdapterUpdates(_ call: Call) throws(APIError) {
        guard !options.allowsAdapterUpdates else { return }
        throw APIError(
            status: 404,
            message: "Not Found: \(call.path) is off; start the server with --allow-runtime-lora-updating or VLLM_ALLOW_RUNTIME_LORA_UPDATING=True",
            type: "NotFoundError")
    }

    private static func text(_ text: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/plain; charset=utf-8"], body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
