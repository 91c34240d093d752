import JSON
import Jobs
import Testing

import Gateway

@Suite struct WorkerPostTests {
    private func read(_ text: String, limit: Int = 1000) -> WorkerPost { WorkerPost(Array(text.utf8), maxByteCount: limit) }
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func resultsAsTheSDKPostsThem() {
        #expect(read(#"{"output": [1, 2]}"#) == .result(.completed(output: bytes("[1, 2]")), stopsWorker: false))
        #expect(read("{}") == .result(.completed(output: nil), stopsWorker: false))
        #expect(read(#"{"output": {"a": 1}, "stopPod": true}"#) == .result(.completed(output: bytes(#"{"a": 1}"#)), stopsWorker: true))
        #expect(read(#"{"error": "", "output": 1}"#) == .result(.completed(output: bytes("1")), stopsWorker: false))
        #expect(read(#"{"error": "no", "output": {"k": 1}}"#) == .result(.failed(error: "no", output: bytes(#"{"k": 1}"#)), stopsWorker: false))
        #expect(read(#"{"error": {"code": 7}}"#) == .result(.failed(error: #"{"code":7}"#, output: nil), stopsWorker: false))
    }

    @Test func progressIsNeverAResult() {
        #expect(read(#"{"status": "IN_PROGRESS", "output": "half"}"#) == .progress(value: bytes(#""half""#)))
    }

    @Test func whatPythonWritesIsMadeJSON() {
        #expect(read(#"{"output": {"loss": NaN, "NAME": "Infinity"}}"#) == .result(.completed(output: bytes(#"{"loss":null,"NAME":"Infinity"}"#)), stopsWorker: false))
        #expect(read(#"{"output": "NaN"}"#) == .result(.completed(output: bytes(#""NaN""#)), stopsWorker: false))
    }

    @Test(arguments: ["", "[1]", "{\"output\": ", "{\"output\": \u{1}}"])
    func whatIsNoResultFailsTheJobWithTheReason(_ text: String) {
        guard case .result(.failed(let error, nil), false) = read(text) else { Issue.record("\(text) was taken"); return }
        #expect(error.contains("not JSON"))
    }

    @Test func tooLargeAResultFailsTheJobWithTheReason() {
        guard case .result(.failed(let error, nil), false) = read(#"{"output": "0123456789"}"#, limit: 8) else { Issue.record("taken"); return }
        #expect(error.contains("12 bytes") && error.contains("maxResultBytes"))
    }

    @Test func chunksKeepTheirKind() {
        #expect(WorkerPost.chunk(bytes(#"{"output": "data: é\n\n"}"#)) == JobChunk(index: 0, form: .text, body: bytes("data: é\n\n")))
        #expect(WorkerPost.chunk(bytes(#"{"output": {"a": 1}}"#)) == JobChunk(index: 0, form: .json, body: bytes(#"{"a": 1}"#)))
        #expect(WorkerPost.chunk(bytes("{}")) == nil)
    }
}

@Suite struct OpenAIFailureTests {
    @Test func readsWhatWorkersSay() {
        let json = OpenAIFailure(workerError: #"{"message": "no such model", "type": "NotFoundError", "param": "model", "code": 404}"#)
        #expect(json.status == 404 && json.message == "no such model" && json.type == "NotFoundError" && json.parameter == "model")
        let python = OpenAIFailure(workerError: #"{'message': "it's bad", 'type': 'BadRequestError', 'param': None, 'code': 400}"#)
        #expect(python.status == 400 && python.message == "it's bad" && python.parameter.isNull)
        let nested = OpenAIFailure(workerError: #"{'error': {'message': 'x', 'code': '422'}, 'object': 'error'}"#)
        #expect(nested.status == 422 && nested.message == "x")
        let crash = OpenAIFailure(workerError: #"{"error_type": "<class 'ValueError'>", "error_message": "boom", "error_traceback": "…"}"#)
        #expect(crash.status == 500 && crash.message == "boom")
        let text = OpenAIFailure(workerError: "job timed out after 1 retries: killed by signal 9")
        #expect(text.status == 500 && text.message.hasPrefix("job timed out"))
        // A status that is none is not passed on.
        #expect(OpenAIFailure(workerError: #"{"message": "m", "code": 200}"#).status == 500)
    }

    @Test(arguments: [
        ("{'a': [1, 2.5, (3,)], 'b': True, 'c': {}}", #"{"a":[1,2.5,[3]],"b":true,"c":{}}"#),
        (#"['\x41\u00e9\U0001F600\n', "it's"]"#, "[\"Aé😀\\n\",\"it's\"]"),
        ("None", "null"), ("-3", "-3"),
    ])
    func pythonLiterals(_ text: String, _ json: String) { #expect(PythonLiteral.parse(text)?.text == json) }

    @Test(arguments: ["", "{'a'}", "{'a': }", "['x'", "'x", "<class 'x'>", "{1: 2}", "[1] tail", String(repeating: "[", count: 1000)])
    func whatIsNoLiteralIsNone(_ text: String) { #expect(PythonLiteral.parse(text) == nil) }
}

@Suite struct JobRequestTests {
    @Test func keepsTheBytesOfInputAndPassesTheRestOn() throws {
        let request = try JobRequest(Array(#"{"webhook":"http://h/x","input": {"a" : 1e2},"s3Config":{"k":"v"},"policy":{"ttl":20000,"lowPriority":true}}"#.utf8))
        #expect(String(decoding: request.input, as: UTF8.self) == #"{"a" : 1e2}"#)
        #expect(request.webhook == "http://h/x" && request.timeToLive == 20_000 && request.lowPriority)
        let extras = try JSONValue(parsing: try #require(request.extras))
        #expect(extras["s3Config"]?["k"] == "v" && extras["webhook"] == "http://h/x" && extras["input"] == nil)
    }

    @Test(arguments: ["{}", "null", "[]", "0", "\"x\"", "false"])
    func anyInputIsTaken(_ input: String) throws {
        #expect(String(decoding: try JobRequest(Array("{\"input\": \(input) }".utf8)).input, as: UTF8.self) == input)
    }

    @Test(arguments: [
        ("{}", "no 'input'"), ("[]", "must be a JSON object"), ("{\"input\":", "malformed JSON"), ("", "malformed JSON"),
        (#"{"input":1,"policy":{"ttl":5}}"#, "policy.ttl"), (#"{"input":1,"policy":{"executionTimeout":"x"}}"#, "policy.executionTimeout"),
        (#"{"input":1,"webhook":5}"#, "'webhook'"), (#"{"input":1} x"#, "malformed JSON"),
    ])
    func namesWhatIsWrong(_ text: String, _ message: String) {
        let error = #expect(throws: ClientError.self) { try JobRequest(Array(text.utf8)) }
        #expect(error?.status == 400 && error?.message.contains(message) == true, "\(error?.message ?? "")")
    }
}
