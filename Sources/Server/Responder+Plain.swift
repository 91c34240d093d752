internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import NIOCore
internal import OpenAI

/// Health, and bodies of requests.
extension Responder {
    func health() throws(APIError) -> Response {
        if stats.isDraining { throw .overloaded("the server is shutting down") }
        guard model.generator.isAlive else { throw .overloaded("the engine has stopped") }
        if let duration = model.generator.currentStepDuration, duration > .seconds(options.stuckAfterSeconds) {
            throw .overloaded("the engine has been in one step for \(duration.components.seconds) s and seems stuck")
        }
        return Response(status: .ok)
    }

    /// Reads the whole body, within size and type.
    func body(of call: Call) async throws(APIError) -> [UInt8] {
        let type = call.request.headers[.contentType] ?? ""
        let media = type.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
        guard media == "application/json" else {
            throw .malformed("Content-Type must be application/json, not '\(type.clipped(to: 80))'")
        }
        let limit = options.maxBodyBytes
        if let declared = call.request.headers[.contentLength].flatMap({ Int($0) }), declared > limit { throw .tooLarge(limit: limit) }
        var bytes: [UInt8] = []
        do {
            for try await buffer in call.request.body {
                if bytes.count + buffer.readableBytes > limit { throw APIError.tooLarge(limit: limit) }
                bytes.append(contentsOf: buffer.readableBytesView)
            }
        } catch let error as APIError {
            throw error
        } catch {
            throw .malformed("The request body could not be read.", at: "body")
        }
        return bytes
    }
}
