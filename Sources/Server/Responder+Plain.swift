internal import Hummingbird
internal import HummingbirdCore
internal import JSON
internal import NIOCore
internal import OpenAI
internal import Web

/// Routes that generate nothing.
extension Responder {
    func modelCard(_ call: Call) throws(APIError) -> Response {
        let name = String(call.path.dropFirst(Route.model.rawValue.count)).percentDecoded ?? ""
        guard let card = model.cards.first(where: { $0.id == name }) else {
            throw .unknownModel(name, served: model.cards.map(\.id))
        }
        return json { card.write(into: &$0) }
    }

    func health() throws(APIError) -> Response {
        if stats.isDraining { throw .overloaded("the server is shutting down") }
        guard model.generator.isAlive else { throw .overloaded("the engine has stopped") }
        if let duration = model.generator.currentStepDuration, duration > .seconds(options.stuckAfterSeconds) {
            throw .overloaded("the engine has been in one step for \(duration.components.seconds) s and seems stuck")
        }
        return Response(status: .ok)
    }

    func tokenize(_ call: Call) async throws(APIError) -> Response {
        let request = try TokenizeRequest(body: try await body(of: call))
        _ = try model.resolve(request.model)
        let ids: [Int32]
        switch request.input {
        case .text(let text, let addSpecialTokens): ids = try model.text.encode(text, addSpecialTokens: addSpecialTokens)
        case .conversation(let conversation):
            let text = try preparation(call).render(conversation)
            ids = try model.text.encode(text, addSpecialTokens: conversation.addSpecialTokens)
        }
        return json { writer in
            writer.raw("{\"count\":")
            writer.int(ids.count)
            writer.raw(",\"max_model_len\":")
            writer.int(model.maxModelLength)
            writer.raw(",\"tokens\":[")
            for (index, id) in ids.enumerated() {
                if index > 0 { writer.raw(",") }
                writer.int(Int(id))
            }
            writer.raw("],\"token_strs\":")
            if request.returnTokenStrings {
                writer.raw("[")
                for (index, id) in ids.enumerated() {
                    if index > 0 { writer.raw(",") }
                    writer.string(model.text.spelling(of: id) ?? "")
                }
                writer.raw("]")
            } else {
                writer.raw("null")
            }
            writer.raw("}")
        }
    }

    func detokenize(_ call: Call) async throws(APIError) -> Response {
        let request = try DetokenizeRequest(body: try await body(of: call))
        _ = try model.resolve(request.model)
        if let bad = request.tokens.first(where: { Int($0) >= model.text.vocabularySize }) {
            throw .invalid("token id \(bad) is outside the vocabulary of \(model.text.vocabularySize)", parameter: "tokens", value: String(bad))
        }
        let text = model.text.decode(request.tokens, skipSpecialTokens: false, spacesBetweenSpecialTokens: true)
        return json { writer in
            writer.raw("{\"prompt\":")
            writer.string(String(decoding: text, as: UTF8.self))
            writer.raw("}")
        }
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
