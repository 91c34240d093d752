/// A decoder taken apart so that text can be given out token by token: maps on single pieces, at most one step that joins bytes, maps
/// on what that gives, and a strip at the start of the whole text.
struct DecoderPlan: Sendable {
    enum Joining: Sendable { case none, byteLevel, byteFallback }

    var before: [Decoder] = []
    var joining = Joining.none
    var after: [Decoder] = []
    /// Taken from the start of the text, this many times at most.
    var stripped: [UInt8] = [], strippedCount = 0

    /// Nil where the decoder is of no such shape (CTC, BPEDecoder, unusual orders).
    init?(_ decoder: Decoder) {
        var isFused = false
        for step in decoder.flattened {
            switch step {
            case .byteLevel:
                guard joining == .none, before.isEmpty, after.isEmpty, !isFused else { return nil }
                (joining, isFused) = (.byteLevel, true)
            case .byteFallback:
                guard joining == .none, !isFused else { return nil }
                joining = .byteFallback
            case .fuse: isFused = true
            case .strip(let content, let start, let stop) where isFused:
                guard stop == 0, strippedCount == 0 else { return nil }
                (stripped, strippedCount) = (content, start)
            case let step where step.isMap:
                if isFused { return nil }
                if case .strip = step, joining != .none { return nil }
                if joining == .none { before.append(step) } else { after.append(step) }
            default: return nil
            }
        }
        // After byte fallback a character of a run may be mapped before the run is over: only replacements of one character allow it.
        if joining == .byteFallback {
            for step in after {
                switch step {
                case .metaspace: continue
                case .replace(.literal(let old), _) where old.count == UTF8Text.width(old.first ?? 0): continue
                default: return nil
                }
            }
        }
        if before.count == 1, joining == .none || joining == .byteFallback, case .replace(.literal(let old), let new) = before[0],
            old == WordCuts.marker, new == [0x20] {
            before = []
            opensMarkers = true
        }
        if before.count == 1, joining == .none, case .metaspace(WordCuts.marker, let removesFirst) = before[0] {
            before = []
            opensMarkers = true
            dropsFirstMarkers = removesFirst
        }
    }

    /// `before` was only the common replacement of `▁` by a space, which is done in place.
    private(set) var opensMarkers = false
    /// Whether the first piece loses its `▁` instead (Metaspace).
    private(set) var dropsFirstMarkers = false
}
