import Compute
import JSON
import Step
import Weights

extension DecoderFamilies {
    /// Decoders under another end than the head of a language model: `LlamaForSequenceClassification`, `MistralModel` and so on, of the family
    /// of `LlamaForCausalLM`, `MistralForCausalLM`. nil where no architecture is of that kind.
    static func describePooled(_ config: ConfigReader) throws(LoadError) -> DecoderDescription? {
        for name in try config.strings(optional: "architectures") ?? [] {
            for ending in [classifier, "Model"] where name.hasSuffix(ending) {
                let stem = name.dropLast(ending.count)
                let family = all.first { family in
                    family.architectures.contains { $0 == stem + "ForCausalLM" || $0 == stem + "LMHeadModel" }
                }
                guard let family else { continue }
                var decoder = try family.describe(config)
                if ending == classifier {
                    let labels = try config.labels()
                    decoder.pooled = PooledDescription(
                        .last, try config.classifierActivation(labels.count), layers: [PooledLayer("score", outputs: labels.count)], labels: labels)
                } else {
                    decoder.pooled = PooledDescription(.last, .normalize)
                }
                return decoder
            }
        }
        return nil
    }

    static let classifier = "ForSequenceClassification"
}

extension ConfigReader {
    /// Whether the architecture ends in a classifier.
    func isClassifier() throws(LoadError) -> Bool {
        try strings(optional: "architectures")?.contains { $0.hasSuffix(DecoderFamilies.classifier) } ?? false
    }

    /// Names of the classes: `id2label`, else as many `LABEL_n` as `num_labels` says, by default 2.
    func labels() throws(LoadError) -> [String] {
        guard let map = try object(optional: "id2label")?.json else {
            return (0..<(try int("num_labels", in: 1...1 << 16, default: 2))).map { "LABEL_\($0)" }
        }
        var labels = [String?](repeating: nil, count: map.members.count)
        for (key, value) in map.members {
            guard let place = Int(key), labels.indices.contains(place), let label = value.string ?? value.int.map(String.init) else {
                throw error("id2label", "must name the classes 0 to \(labels.count - 1), but has '\(key)'")
            }
            labels[place] = label
        }
        guard !labels.isEmpty else { throw error("id2label", "is empty") }
        return labels.enumerated().map { $0.element ?? "LABEL_\($0.offset)" }
    }

    /// What makes probabilities of a classifier's scores, by `problem_type`; rerankers may name a function of their own.
    func classifierActivation(_ labels: Int) throws(LoadError) -> PooledActivation {
        let own = try object(optional: "sentence_transformers")?.string(optional: "activation_fn")
        let old = try string(optional: "sbert_ce_default_activation_function")
        if let name = own ?? old {
            if name.hasSuffix("Identity") { return .none }
            if name.hasSuffix("Sigmoid") { return .sigmoid }
            throw error("sbert_ce_default_activation_function", "is '\(name)'; only Identity and Sigmoid are supported")
        }
        switch try string(optional: "problem_type") {
        case "regression": return .none
        case "multi_label_classification": return .sigmoid
        case nil, "single_label_classification": return labels == 1 ? .sigmoid : .softmax
        case let type?: throw error("problem_type", "is '\(type)', which is not known")
        }
    }
}
