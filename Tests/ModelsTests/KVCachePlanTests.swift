import Compute
import Models
import Step
import Testing

@Suite struct KVCachePlanTests {
    private func layers(_ windows: [Int?]) -> [LayerDescription] {
        windows.map { window in
            LayerDescription(
                attention: AttentionDescription(heads: 2, kvHeads: 1, headDimension: 16, slidingWindow: window),
                mlp: MLPDescription(intermediateSize: 32, activation: .silu))
        }
    }

    @Test func oneKindIsOneGroup() {
        let plan = KVCachePlan(layers([nil, nil, nil]))
        #expect(plan.groups == [KVCacheGroup(slidingWindow: nil)])
        #expect(plan.layersPerGroup == [3])
        #expect(plan.places.map(\.layer) == [0, 1, 2])
    }

    @Test func mixedLayersFormGroupsOfEqualSize() {
        // Ten full layers among twenty sliding ones: three groups of ten, as in vLLM.
        let plan = KVCachePlan(layers((0..<30).map { $0 % 3 == 2 ? nil : 1024 }))
        #expect(plan.layersPerGroup == [10, 10, 10])
        #expect(plan.groups.count { $0.slidingWindow == nil } == 1)
    }

    @Test func nearlyEqualCountsShareTheLarger() {
        let plan = KVCachePlan(layers([nil, nil, nil, 8, 8]))
        #expect(plan.layersPerGroup == [3, 2])
    }

    /// Gemma 3 27B with 128k tokens: 52 of its 62 layers see 1024 tokens and must not pay for more.
    @Test func longTextOfAMixedModelCostsItsFullLayers() {
        let plan = KVCachePlan(layers((0..<62).map { $0 % 6 == 5 ? nil : 1024 }))
        let blockSize = 16, tokens = 131_072
        let blocks = plan.groups.map { group in
            group.slidingWindow.map { ($0 - 1 + blockSize - 1) / blockSize + 1 } ?? tokens / blockSize
        }
        let layersPerBlock = plan.layersPerGroup.max() ?? 0
        let held = blocks.reduce(0, +) * blockSize * layersPerBlock
        // What each layer by itself needs: all tokens in ten, a window in fifty-two.
        let least = 10 * tokens + 52 * 1024
        #expect(held >= least)
        #expect(Double(held) < 1.02 * Double(least))
        #expect(Double(held) < 0.17 * Double(62 * tokens))
    }

    /// Qwen3-Next's twelve layers of attention among 36 with a state: four groups of twelve, three of which hold but the last blocks.
    @Test func statesAreWindowsOfTwoTokens() {
        var layers = layers(Array(repeating: nil, count: 48))
        let shape = DeltaNetShape(keyHeads: 2, valueHeads: 4, keyDimension: 8, valueDimension: 16, taps: 4)
        for index in layers.indices where index % 4 != 3 { layers[index].mixer = .deltaNet(DeltaNetDescription(shape, normEpsilon: 1e-6)) }
        let plan = KVCachePlan(layers)
        #expect(plan.layersPerGroup == [12, 12, 12, 12])
        #expect(plan.groups.count { $0.slidingWindow == 2 } == 3 && plan.groups.count { $0.slidingWindow == nil } == 1)
        // Three past inputs of 2 * 8 + 2 * 16 channels and two states of 8 x 16 for each of two key heads.
        let state = KVPage.state(elements: 2 * (3 * 48 + 2 * 128))
        #expect(plan.layout(of: layers, blockSize: 16).pages == [state, .heads(kvHeads: 1, headDimension: 16, valueDimension: 16)])
    }

    @Test func everyLayerHasAPlaceOfItsOwn() {
        let plan = KVCachePlan(layers((0..<26).map { $0 % 6 == 5 ? nil : 512 }))
        let places = plan.places.map { $0.group * 100 + $0.layer }
        #expect(Set(places).count == 26)
        for (layer, place) in plan.places.enumerated() {
            #expect(plan.groups[place.group].slidingWindow == (layer % 6 == 5 ? nil : 512))
            #expect(place.layer < plan.layersPerGroup[place.group])
        }
    }
}
