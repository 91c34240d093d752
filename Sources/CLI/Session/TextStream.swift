import Engine
import Sampling
import Server

/// Answers of a model in this process, as text: for `chat` and `generate`, without HTTP.
struct TextStream {
    let session: ModelSession

    struct Outcome {
        var text = ""
        var promptTokens = 0
        var outputTokens = 0
        var reason = FinishReason.abort
        /// From submission to the first token, and from there to the end.
        var timeToFirstToken = Duration.zero
        var decodeTime = Duration.zero

        var tokensPerSecond: Double {
            outputTokens > 1 ? Double(outputTokens - 1) / max(1e-9, decodeTime / .seconds(1)) : 0
        }
    }

    /// Runs a prompt, handing out text as it comes.
    func run(_ prompt: [Int32], _ sampling: SamplingParameters, onText: (String) -> Void) async throws -> Outcome {
        let clock = ContinuousClock(), start = clock.now
        var first: ContinuousClock.Instant?
        var outcome = Outcome(promptTokens: prompt.count)
        var detokenizer = session.served.text.makeDetokenizer(after: prompt, skipSpecialTokens: true, spacesBetweenSpecialTokens: true)
        var bytes: [UInt8] = []
        var request = EngineRequest(promptTokenIDs: prompt, sampling: sampling)
        request.loraID = session.adapterID
        for try await event in try session.engine.submit(request) {
            switch event {
            case .started, .pooled: break
            case .tokens(let tokens):
                if first == nil { first = clock.now }
                outcome.outputTokens += tokens.tokenIDs.count
                for id in tokens.tokenIDs where !isEnd(id, sampling) { detokenizer.append(id, to: &bytes) }
            case .finished(let finish):
                detokenizer.finish(into: &bytes)
                outcome.reason = finish.reason
            }
            if !bytes.isEmpty {
                let text = String(decoding: bytes, as: UTF8.self)
                outcome.text += text
                onText(text)
                bytes.removeAll(keepingCapacity: true)
            }
        }
        outcome.timeToFirstToken = start.duration(to: first ?? clock.now)
        outcome.decodeTime = (first ?? clock.now).duration(to: clock.now)
        return outcome
    }

    private func isEnd(_ id: Int32, _ sampling: SamplingParameters) -> Bool {
        !sampling.ignoreEOS && (sampling.eosTokenIDs.contains(id) || sampling.stopTokenIDs.contains(id))
    }
}
