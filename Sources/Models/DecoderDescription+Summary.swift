import Compute

extension DecoderDescription {
    /// What the blocks are made of, as rows of a table: attention, windows, layers with a state, experts.
    package var blockSummary: [(name: String, value: String)] {
        var rows: [(name: String, value: String)] = []
        if let attention = layers.lazy.compactMap(\.attention).first {
            rows.append(("attention", "\(attention.heads) heads, \(attention.kvHeads) KV heads of \(attention.headDimension)"))
        }
        for layer in layers {
            guard case .latent(let latent) = layer.mixer else { continue }
            rows.append(("attention", "\(latent.heads) heads over latents of \(latent.rank) and \(latent.rotary) rotated elements"))
            break
        }
        let windows = Set(layers.compactMap(\.slidingWindow)).sorted()
        if !windows.isEmpty {
            let sliding = layers.count { $0.slidingWindow != nil }
            rows.append(("sliding window", "\(windows.map(String.init).joined(separator: ", ")) tokens in \(sliding) of \(layers.count) layers"))
        }
        let recurrent = layers.count { layer in
            switch layer.mixer {
            case .shortConvolution, .deltaNet: true
            case .attention, .latent: false
            }
        }
        if recurrent > 0 { rows.append(("state", "\(recurrent) of \(layers.count) layers keep a state instead of keys and values")) }
        let mixtures = layers.compactMap { layer -> MixtureDescription? in if case .mixture(let mixture) = layer.feedForward { mixture } else { nil } }
        if let mixture = mixtures.first {
            let shared = mixture.shared == nil ? "" : " and one for all"
            rows.append(("experts", "\(mixture.routing.chosen) of \(mixture.experts) a token\(shared), in \(mixtures.count) of \(layers.count) layers"))
        }
        return rows
    }
}
