package import Compute
package import Step

/// Which layers share a block table: layers with the same window, in groups of equal size, so that all groups draw the same blocks from
/// one pool (vLLM's hybrid KV cache layout).
package struct KVCachePlan: Sendable, Equatable {
    package let groups: [KVCacheGroup]
    package let layersPerGroup: [Int]
    /// `[layers]`: group of the layer, and its place among the group's layers.
    package let places: [(group: Int, layer: Int)]

    package init(_ layers: [LayerDescription]) {
        var windows: [Int?] = []
        for layer in layers where !windows.contains(layer.cacheWindow) { windows.append(layer.cacheWindow) }
        let counts = windows.map { window in layers.count { $0.cacheWindow == window } }
        // The smallest count of a kind is the group size; kinds of nearly the same count share the largest, wasting little.
        let smallest = counts.min() ?? 0, largest = counts.max() ?? 0
        let size = max(1, 2 * largest <= 3 * smallest ? largest : smallest)
        var groups: [KVCacheGroup] = [], sizes: [Int] = [], places: [(group: Int, layer: Int)] = []
        var open: [Int?: Int] = [:]
        for layer in layers {
            let window = layer.cacheWindow
            if let group = open[window], sizes[group] < size {
                places.append((group, sizes[group]))
                sizes[group] += 1
            } else {
                open[window] = groups.count
                places.append((groups.count, 0))
                groups.append(KVCacheGroup(slidingWindow: window))
                sizes.append(1)
            }
        }
        self.groups = groups
        self.layersPerGroup = sizes
        self.places = places
    }

    package static func == (a: KVCachePlan, b: KVCachePlan) -> Bool {
        a.groups == b.groups && a.layersPerGroup == b.layersPerGroup && a.places.elementsEqual(b.places, by: ==)
    }

    /// - Parameter layers: those that the plan was made for.
    package func layout(of layers: [LayerDescription], blockSize: Int) -> KVCacheLayout {
        var pages: [KVPage] = []
        for layer in layers where !pages.contains(layer.cachePage) { pages.append(layer.cachePage) }
        return KVCacheLayout(groups: groups, layersPerGroup: layersPerGroup, blockSize: blockSize, pages: pages)
    }
}
