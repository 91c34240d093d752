import Gateway
import Hub
import JSON
import Jobs

/// The endpoint of `gateway --demo`: the default model, from zero to two workers of this machine.
enum DemoEndpoint {
    static let id = EndpointID("demo")

    static func definition(_ environment: [String: String]) throws -> EndpointDefinition {
        let model =
            switch try DefaultModel.reference(environment: environment) {
            case .file(let path): path
            case .folder(let path, _): path
            case .hub: DefaultModel.hubID
            }
        return try EndpointDefinition(
            id,
            [
                "workersMin": 0, "workersMax": 2, "idleTimeout": 30, "scalerType": "REQUEST_COUNT", "scalerValue": 16,
                "provider": ["process": ["env": ["MODEL_NAME": .string(model), "OPENAI_SERVED_MODEL_NAME_OVERRIDE": .string(DefaultModel.name)]]],
            ])
    }
}

/// How to talk to the demo.
enum DemoGreeting {
    static func text(_ settings: GatewayConfiguration, _ port: Int) -> String {
        let host = settings.host.contains(":") ? "[\(settings.host)]" : settings.host
        let base = "http://\(host):\(port)/v2/\(DemoEndpoint.id)"
        let header = "-H 'Content-Type: application/json'"
        let question = "Tell me about swifts, the birds."
        return """

            Endpoint '\(DemoEndpoint.id)' serves \(DefaultModel.name). No worker runs yet: the first job starts one, 30 s without a job end it.

              # a job, and its answer when it is done
              curl \(base)/runsync \(header) -d '{"input": {"prompt": "\(question)", "sampling_params": {"max_tokens": 60}}}'

              # a job in the background: take the id from the answer
              curl \(base)/run \(header) -d '{"input": {"prompt": "\(question)", "stream": true, "sampling_params": {"max_tokens": 60}}}'
              curl \(base)/status/ID
              curl \(base)/stream/ID

              # OpenAI's API: base URL \(base)/openai/v1, any key
              curl -N \(base)/openai/v1/chat/completions \(header) \\
                -d '{"model": "\(DefaultModel.name)", "stream": true, "messages": [{"role": "user", "content": "\(question)"}]}'

            Dashboard: http://\(host):\(port)/dashboard
            Ctrl-C stops it and its workers.
            """
    }
}
