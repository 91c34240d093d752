import Sampling
import Testing

@Suite struct ParameterTests {
    private func problem(limits: SamplingLimits = SamplingLimits(), _ change: (inout SamplingParameters) -> Void) -> String? {
        var p = SamplingParameters()
        change(&p)
        do throws(ParameterError) {
            try p.validate(vocabularySize: 100, limits: limits)
            return nil
        } catch {
            #expect(error.description.hasSuffix("(parameter=\(error.parameter), value=\(error.value))"))
            return "\(error.parameter)=\(error.value)"
        }
    }

    @Test func neutralValuesPass() {
        #expect(problem { _ in } == nil)
        #expect(problem { $0.topK = -1 } == nil)
        #expect(problem { $0.temperature = 2 } == nil)
        #expect(problem { $0.minTokens = 4; $0.maxTokens = 4 } == nil)
        #expect(problem { $0.logitBias = [99: -200] } == nil)
    }

    @Test func eachRangeIsKept() {
        #expect(problem { $0.temperature = 2.5 } == "temperature=2.5")
        #expect(problem { $0.temperature = -0.1 } == "temperature=-0.1")
        #expect(problem { $0.temperature = .nan } == "temperature=nan")
        #expect(problem { $0.topK = -2 } == "top_k=-2")
        #expect(problem { $0.topP = 0 } == "top_p=0.0")
        #expect(problem { $0.topP = 1.1 } == "top_p=1.1")
        #expect(problem { $0.minP = -1 } == "min_p=-1.0")
        #expect(problem { $0.typicalP = 0 } == "typical_p=0.0")
        #expect(problem { $0.topNSigma = .infinity } == "top_n_sigma=inf")
        #expect(problem { $0.repetitionPenalty = 0 } == "repetition_penalty=0.0")
        #expect(problem { $0.repetitionPenalty = .infinity } == "repetition_penalty=inf")
        #expect(problem { $0.presencePenalty = 2.1 } == "presence_penalty=2.1")
        #expect(problem { $0.frequencyPenalty = -2.1 } == "frequency_penalty=-2.1")
        #expect(problem { $0.n = 0 } == "n=0")
        #expect(problem { $0.n = 16_385 } == "n=16385")
        #expect(problem { $0.n = 2; $0.temperature = 0 } == "n=2")
        #expect(problem { $0.minTokens = 5; $0.maxTokens = 4 } == "min_tokens=5")
        #expect(problem { $0.maxTokens = -1 } == "max_tokens=-1")
        #expect(problem { $0.logprobs = 21 } == "logprobs=21")
        #expect(problem { $0.logprobs = -1 } == "logprobs=-1")
        #expect(problem { $0.promptLogprobs = -2 } == "prompt_logprobs=-2")
        var open = SamplingLimits()
        open.allowFullVocabularyLogprobs = true
        #expect(problem(limits: open) { $0.logprobs = -1 } == nil)
        #expect(problem { $0.logprobTokenIDs = [1] } == "logprob_token_ids=1")
    }

    @Test func tokenIDsLieInTheVocabulary() {
        #expect(problem { $0.logitBias = [100: 1] } == "logit_bias=100")
        #expect(problem { $0.logitBias = [1: .nan] } == "logit_bias=nan")
        #expect(problem { $0.allowedTokenIDs = [] } == "allowed_token_ids=[]")
        #expect(problem { $0.allowedTokenIDs = [-1] } == "allowed_token_ids=-1")
        #expect(problem { $0.badWords = [[1], []] } == "bad_words=[]")
        #expect(problem { $0.badWords = [[1, 200]] } == "bad_words=200")
        #expect(problem { $0.badWords = Array(repeating: [1], count: 129) } == "bad_words=129")
        #expect(problem { $0.stopTokenIDs = [100] } == "stop_token_ids=100")
        #expect(problem { $0.logprobs = 1; $0.logprobTokenIDs = [100] } == "logprob_token_ids=100")
    }

    @Test func lowTemperatures() {
        var p = SamplingParameters()
        p.temperature = 1e-6
        #expect(p.isGreedy)
        p.temperature = 0.001
        #expect(!p.isGreedy && p.effectiveTemperature == 0.01)
    }

    @Test func countsOfManyTokens() {
        var random = SplitMix(1)
        var seen = SeenTokens()
        var model: [Int32: Int32] = [:]
        for _ in 0..<20_000 {
            let token = Int32.random(in: 0..<3000, using: &random)
            if Bool.random(using: &random) {
                seen.noteOutput(token)
                model[token, default: 0] += 1
            } else {
                seen.notePrompt(token)
                model[token, default: 0] += 0
            }
        }
        #expect(Dictionary(uniqueKeysWithValues: seen.entries.map { ($0.token, $0.outputCount) }) == model)
    }
}
