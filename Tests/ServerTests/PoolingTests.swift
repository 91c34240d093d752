import Engine
import JSON
import OpenAI
import Server
import StandInModel
import Step
import Synchronization
import Testing

/// The routes of embedding and classification models, over HTTP.
@Suite struct PoolingTests {
    /// The row of a text: its number of tokens, then its last token, then the second segment's place.
    static let counting = FakeGenerator(maxModelLength: 20) { request in
        let row: [Float] = [Float(request.promptTokenIDs.count), Float(request.promptTokenIDs.last ?? 0), Float(request.secondSegment ?? 0)]
        let rows = request.pooling == .tokens ? request.promptTokenIDs.flatMap { [Float($0), 0, 1] } : row
        return .events([.pooled(rows), .finished(choice: 0, reason: .stop, stopTokenID: nil)])
    }

    static let embedder = PooledModel(output: PooledOutput(pooling: .mean, width: 3, activation: .normalize), prompts: ["query": "ab"])
    static let classifier = PooledModel(output: PooledOutput(pooling: .last, width: 3, activation: .softmax), labels: ["low", "middle", "high"])
    static let reranker = PooledModel(output: PooledOutput(pooling: .first, width: 1, activation: .sigmoid), labels: ["LABEL_0"])

    private func numbers(_ value: JSONValue?) -> [Double] { value?.array?.compactMap(\.double) ?? [] }

    @Test func embeddingsOfAllKindsOfInput() async throws {
        try await LoopbackServer.run(Self.counting, pooled: Self.embedder) { server in
            let reply = try await server.post("/v1/embeddings", #"{"model":"fake","input":["abc","de"],"use_activation":false}"#)
            #expect(reply.status == 200)
            #expect(reply.json["object"]?.string == "list" && reply.json["model"]?.string == "fake")
            #expect(reply.json["id"]?.string?.hasPrefix("embd-") == true)
            let data = reply.json["data"]?.array ?? []
            #expect(data.map { $0["index"]?.int } == [0, 1] && data.allSatisfy { $0["object"]?.string == "embedding" })
            #expect(numbers(data[0]["embedding"]) == [4, 99, 0] && numbers(data[1]["embedding"]) == [3, 101, 0])
            #expect(reply.json["usage"]?["prompt_tokens"]?.int == 7 && reply.json["usage"]?["total_tokens"]?.int == 7)
            for (input, rows) in [("\"abc\"", [[4.0, 99, 0]]), ("[5,6]", [[2, 6, 0]]), ("[[5,6],[7]]", [[2, 6, 0], [1, 7, 0]])] {
                let reply = try await server.post("/v1/embeddings", "{\"input\":\(input),\"normalize\":false}")
                #expect(reply.json["data"]?.array?.map { numbers($0["embedding"]) } == rows)
            }
            let normal = try await server.post("/v1/embeddings", #"{"input":"abc"}"#)
            let row = numbers(normal.json["data"]?[0]?["embedding"])
            #expect(abs(row.reduce(0) { $0 + $1 * $1 } - 1) < 1e-6 && abs(row[0] / row[1] - 4.0 / 99) < 1e-6)
            let chat = try await server.post("/v1/embeddings", #"{"messages":[{"role":"user","content":"x"}],"normalize":false}"#)
            #expect(numbers(chat.json["data"]?[0]?["embedding"]) == [7, 120, 0])
            let prompted = try await server.post("/v1/embeddings", #"{"input":"c","prompt_name":"query","normalize":false}"#)
            #expect(numbers(prompted.json["data"]?[0]?["embedding"]) == [4, 99, 0])
        }
    }

    @Test func base64IsLittleEndianFloats() async throws {
        try await LoopbackServer.run(Self.counting, pooled: Self.embedder) { server in
            let reply = try await server.post("/v1/embeddings", #"{"input":"abc","encoding_format":"base64","normalize":false}"#)
            // 4.0, 99.0, 0.0
            #expect(reply.json["data"]?[0]?["embedding"]?.string == "AACAQAAAxkIAAAAA")
        }
    }

    @Test func dimensionsNeedAMatryoshkaModel() async throws {
        var model = Self.embedder
        try await LoopbackServer.run(Self.counting, pooled: model) { server in
            let reply = try await server.post("/v1/embeddings", #"{"input":"a","dimensions":2}"#)
            #expect(reply.status == 400 && reply.error["param"]?.string == "dimensions")
            #expect(reply.error["message"]?.string?.contains("does not support matryoshka representation") == true)
        }
        model.matryoshkaWidths = [2]
        try await LoopbackServer.run(Self.counting, pooled: model) { server in
            let reply = try await server.post("/v1/embeddings", #"{"input":"abc","dimensions":2}"#)
            let row = numbers(reply.json["data"]?[0]?["embedding"])
            #expect(row.count == 2 && abs(row.reduce(0) { $0 + $1 * $1 } - 1) < 1e-6)
            #expect(try await server.post("/v1/embeddings", #"{"input":"a","dimensions":3}"#).status == 400)
        }
    }

    @Test func truncationKeepsTheTokenizersOwnTokens() async throws {
        try await LoopbackServer.run(Self.counting, pooled: Self.embedder) { server in
            func row(_ more: String) async throws -> [Double] {
                let reply = try await server.post("/v1/embeddings", "{\"input\":\"abcdef\",\"normalize\":false,\(more)}")
                return numbers(reply.json["data"]?[0]?["embedding"])
            }
            // The fake tokenizer cuts on the left unless told otherwise; its BOS stays.
            #expect(try await row("\"truncate_prompt_tokens\":3") == [3, 102, 0])
            #expect(try await row("\"truncate_prompt_tokens\":3,\"truncation_side\":\"right\"") == [3, 98, 0])
            #expect(try await row("\"truncate_prompt_tokens\":-1") == [7, 102, 0])
            let long = try await server.post("/v1/embeddings", #"{"input":"abcdefghijklmnopqrstuvwxyz"}"#)
            #expect(long.status == 400 && long.error["param"]?.string == "input_tokens")
            let over = try await server.post("/v1/embeddings", #"{"input":"a","truncate_prompt_tokens":21}"#)
            #expect(over.status == 400 && over.error["param"]?.string == "truncate_prompt_tokens")
        }
        #expect(Self.counting.log.withLock { log in log.requests.filter { $0.promptTokenIDs.count == 3 }.allSatisfy { $0.promptTokenIDs[0] == FakeText.bos } })
    }

    @Test func classes() async throws {
        try await LoopbackServer.run(Self.counting, pooled: Self.classifier) { server in
            let reply = try await server.post("/classify", #"{"input":["abc"]}"#)
            let entry = reply.json["data"]?[0]
            #expect(reply.json["id"]?.string?.hasPrefix("classify-") == true)
            #expect(entry?["label"]?.string == "middle" && entry?["num_classes"]?.int == 3)
            #expect(abs(numbers(entry?["probs"]).reduce(0, +) - 1) < 1e-6)
            #expect(try await server.post("/v1/embeddings", #"{"input":"a"}"#).status == 404)
            #expect(try await server.post("/score", #"{"text_1":"a","text_2":"b"}"#).status == 404)
        }
    }

    @Test func pairsOfAReranker() async throws {
        let scoring = FakeGenerator(maxModelLength: 40) { request in
            .events([.pooled([Float(request.promptTokenIDs.count) - 6]), .finished(choice: 0, reason: .stop, stopTokenID: nil)])
        }
        try await LoopbackServer.run(scoring, pooled: Self.reranker) { server in
            let raw = try await server.post("/score", #"{"text_1":"ab","text_2":["c","defg"],"use_activation":false}"#)
            #expect(raw.json["data"]?.array?.map { $0["score"]?.double } == [-1, 2])
            #expect(raw.json["data"]?.array?.map { $0["object"]?.string } == ["score", "score"])
            let one = try await server.post("/v1/score", #"{"queries":"ab","documents":"cd"}"#)
            #expect(one.json["data"]?[0]?["score"]?.double == 0.5)
            for path in ["/rerank", "/v1/rerank", "/v2/rerank"] {
                let reply = try await server.post(path, #"{"query":"ab","documents":["c",{"text":"defg"},"xy"],"top_n":2}"#)
                let results = reply.json["results"]?.array ?? []
                #expect(results.map { $0["index"]?.int } == [1, 2])
                #expect(results.map { $0["document"]?["text"]?.string } == ["defg", "xy"])
                #expect(results[1]["relevance_score"]?.double == 0.5)
            }
            #expect(scoring.log.withLock { $0.requests.allSatisfy { $0.secondSegment == 3 } })
            let uneven = try await server.post("/score", #"{"text_1":["a","b"],"text_2":["a","b","c"]}"#)
            #expect(uneven.status == 400 && uneven.error["message"]?.string?.contains("1:1, 1:N or N:N") == true)
        }
    }

    @Test func embeddingsAreComparedByTheirCosine() async throws {
        let directions = FakeGenerator { request in
            let row: [Float] = request.promptTokenIDs.last == 97 ? [2, 0, 0] : [3, 4, 0]
            return .events([.pooled(row), .finished(choice: 0, reason: .stop, stopTokenID: nil)])
        }
        try await LoopbackServer.run(directions, pooled: Self.embedder) { server in
            let reply = try await server.post("/score", #"{"text_1":"a","text_2":["a","b"]}"#)
            let scores = reply.json["data"]?.array?.compactMap { $0["score"]?.double } ?? []
            #expect(scores.count == 2 && abs(scores[0] - 1) < 1e-6 && abs(scores[1] - 0.6) < 1e-6)
            #expect(reply.json["usage"]?["prompt_tokens"]?.int == 6)
        }
    }

    @Test func rowsOfTokens() async throws {
        try await LoopbackServer.run(Self.counting, pooled: Self.embedder) { server in
            let tokens = try await server.post("/pooling", #"{"input":[[5,6]],"normalize":false}"#)
            #expect(tokens.json["data"]?[0]?["data"]?.array?.map { numbers($0) } == [[5, 0, 1], [6, 0, 1]])
            #expect(tokens.json["data"]?[0]?["object"]?.string == "pooling")
            let whole = try await server.post("/pooling", #"{"input":[[5,6]],"task":"embed","normalize":false}"#)
            #expect(numbers(whole.json["data"]?[0]?["data"]) == [2, 6, 0])
            let wrong = try await server.post("/pooling", #"{"input":[[5,6]],"task":"classify"}"#)
            #expect(wrong.status == 400 && wrong.error["param"]?.string == "task")
        }
    }

    @Test func refusals() async throws {
        let cases: [(path: String, body: String, param: String, mentions: String)] = [
            ("/v1/embeddings", "{}", "body.input", "required"),
            ("/v1/embeddings", "{\"input\":[]}", "input", "empty"),
            ("/v1/embeddings", "{\"input\":[[]]}", "input", "empty"),
            ("/v1/embeddings", "{\"input\":[\"a\",1]}", "body.input.1", "integer"),
            ("/v1/embeddings", "{\"input\":{}}", "body.input", "object"),
            ("/v1/embeddings", "{\"input\":\"a\",\"encoding_format\":\"hex\"}", "encoding_format", "hex"),
            ("/v1/embeddings", "{\"input\":\"a\",\"dimensions\":0}", "dimensions", "greater than 0"),
            ("/v1/embeddings", "{\"input\":\"a\",\"prompt_name\":\"song\"}", "prompt_name", "query"),
            ("/v1/embeddings", "{\"input\":\"a\",\"embed_dtype\":\"float8\"}", "embed_dtype", "float32"),
            ("/score", "{\"text_1\":\"a\"}", "body.text_2", "required"),
            ("/score", "{\"text_1\":[],\"text_2\":\"a\"}", "text_1", "At least one"),
            ("/rerank", "{\"query\":\"a\"}", "body.documents", "required"),
            ("/rerank", "{\"query\":\"a\",\"documents\":[1]}", "body.documents.0", "string"),
            ("/pooling", "{\"input\":\"a\",\"task\":\"sing\"}", "task", "token_embed"),
        ]
        try await LoopbackServer.run(Self.counting, pooled: Self.embedder) { server in
            for (path, body, param, mentions) in cases {
                let reply = try await server.post(path, body)
                #expect(reply.status == 400, "\(path) \(body): \(reply.body)")
                #expect(reply.error["param"]?.string == param, "\(path) \(body): \(reply.body)")
                #expect(reply.error["message"]?.string?.contains(mentions) == true, "\(path) \(body): \(reply.body)")
            }
            for (path, body) in [
                ("/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"), ("/v1/completions", "{\"prompt\":\"x\"}"),
                ("/classify", "{\"input\":\"x\"}"),
            ] {
                let reply = try await server.post(path, body)
                #expect(reply.status == 404 && reply.error["type"]?.string == "NotFoundError", "\(path): \(reply.body)")
                #expect(reply.error["message"]?.string?.contains("embeddings") == true)
            }
            #expect(try await server.post("/v1/embeddings", #"{"model":"other","input":"a"}"#).status == 404)
        }
        try await LoopbackServer.run(ErrorTests.idle) { server in
            let reply = try await server.post("/v1/embeddings", #"{"input":"a"}"#)
            #expect(reply.status == 404 && reply.error["message"]?.string?.contains("generates text") == true)
        }
    }

    @Test func manyInputsGoThroughASmallQueue() async throws {
        try await LoopbackServer.run(Self.counting, pooled: Self.embedder) { server in
            let inputs = (0..<1500).map { "[\($0 % 200),\($0 % 7)]" }.joined(separator: ",")
            let reply = try await server.post("/v1/embeddings", "{\"input\":[\(inputs)],\"normalize\":false}")
            let data = reply.json["data"]?.array ?? []
            #expect(data.count == 1500 && data.enumerated().allSatisfy { numbers($0.element["embedding"]) == [2, Double($0.offset % 7), 0] })
        }
    }
}

extension JSONValue {
    fileprivate subscript(index: Int) -> JSONValue? { array.flatMap { index < $0.count ? $0[index] : nil } }
}
