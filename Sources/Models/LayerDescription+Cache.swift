package import Compute

extension LayerDescription {
    /// What the layer keeps in the KV cache.
    package var cachePage: KVPage {
        switch mixer {
        case .attention(let attention):
            .heads(kvHeads: attention.kvHeads, headDimension: attention.headDimension, valueDimension: attention.headDimension)
        case .latent(let latent): .latent(rank: latent.rank, rotary: latent.rotary)
        case .shortConvolution(let convolution): .shortConvolution(channels: convolution.channels, taps: convolution.taps)
        case .deltaNet(let net): .deltaNet(net.shape)
        }
    }

    /// Tokens whose blocks the layer's group holds for the next one, that included; nil for all.
    package var cacheWindow: Int? {
        switch mixer {
        case .attention(let attention): attention.slidingWindow
        case .latent: nil
        case .shortConvolution, .deltaNet: KVPage.stateWindow
        }
    }

    package var rope: RopeFrequencies? {
        switch mixer {
        case .attention(let attention): attention.rope
        case .latent(let latent): latent.rope
        case .shortConvolution, .deltaNet: nil
        }
    }
}
