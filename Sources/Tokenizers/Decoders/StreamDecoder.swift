/// Decodes token by token along a `DecoderPlan`, at a cost that does not grow with the text.
struct StreamDecoder: Sendable {
    private let plan: DecoderPlan
    private(set) var sink = TextSink()
    private var isFirst = true
    private var stripsLeft: Int
    /// Byte fallback: the run of bytes at the end. Its characters are shown while all of it is valid; once it is not, every byte that
    /// is not shown yet becomes U+FFFD when the run ends.
    private var partial: [UInt8] = []
    private var isBroken = false
    private var hiddenBytes = 0
    private var runIsFirst = false
    private var inRun = false

    /// Whether characters of a run of byte tokens are shown before the run is over. A whole decode waits: a broken run turns all of
    /// its bytes into U+FFFD.
    private let showsRunsEarly: Bool

    init(_ plan: DecoderPlan, showsRunsEarly: Bool = true) {
        self.plan = plan
        self.showsRunsEarly = showsRunsEarly
        stripsLeft = plan.strippedCount
    }

    mutating func takeReady() -> [UInt8] { sink.takeReady() }

    /// As if tokens with text had gone before.
    mutating func markStarted() {
        isFirst = false
        stripsLeft = 0
    }

    /// Adds a piece; for byte-level plans the bytes it stands for.
    mutating func append(_ piece: UnsafeBufferPointer<UInt8>) {
        switch plan.joining {
        case .byteLevel:
            emit(piece)
        case .none:
            appendMapped(piece)
        case .byteFallback:
            if let byte = Decoder.fallbackByte(piece) {
                append(byte: byte)
            } else {
                endRun()
                appendMapped(piece)
            }
        }
    }

    private mutating func appendMapped(_ piece: UnsafeBufferPointer<UInt8>) {
        let first = isFirst
        isFirst = false
        let drops = first && plan.dropsFirstMarkers
        if plan.opensMarkers, plan.after.isEmpty, !drops {
            openMarkers(piece)
            return
        }
        var text = Array(piece)
        if plan.opensMarkers { text = Decoder.replacing(WordCuts.marker, in: text, with: drops ? [] : [0x20]) }
        for step in plan.before { text = step.map(text, isFirst: first) }
        for step in plan.after { text = step.map(text, isFirst: first) }
        text.withUnsafeBufferPointer { emit($0) }
    }

    private mutating func openMarkers(_ piece: UnsafeBufferPointer<UInt8>) {
        guard let base = piece.baseAddress else { return }
        var start = 0, index = 0
        while index &+ 2 < piece.count {
            if base[index] == 0xE2, base[index &+ 1] == 0x96, base[index &+ 2] == 0x81 {
                if start < index { emit(UnsafeBufferPointer(start: base + start, count: index - start)) }
                var space: UInt8 = 0x20
                withUnsafePointer(to: &space) { emit(UnsafeBufferPointer(start: $0, count: 1)) }
                index &+= 3
                start = index
            } else {
                index &+= 1
            }
        }
        if start < piece.count { emit(UnsafeBufferPointer(start: base + start, count: piece.count - start)) }
    }

    private mutating func append(byte: UInt8) {
        if !inRun {
            inRun = true
            runIsFirst = isFirst
            isFirst = false
        }
        hiddenBytes += 1
        if isBroken { return }
        partial.append(byte)
        if !showsRunsEarly { return }
        let state = partial.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { UTF8Text.inspect($0, buffer.count) } ?? (0, true, 0)
        }
        if state.0 > 0 {
            var text = partial
            for step in plan.after { text = step.map(text, isFirst: runIsFirst) }
            text.withUnsafeBufferPointer { emit($0) }
            hiddenBytes = 0
            partial.removeAll(keepingCapacity: true)
        } else if !state.1 {
            isBroken = true
        }
    }

    private mutating func endRun() {
        guard inRun else { return }
        if !showsRunsEarly, partial.withUnsafeBufferPointer({ UTF8Text.isValid($0) }) {
            var text = partial
            for step in plan.after { text = step.map(text, isFirst: runIsFirst) }
            text.withUnsafeBufferPointer { emit($0) }
        } else if isBroken || !partial.isEmpty {
            let mark: [UInt8] = [0xEF, 0xBF, 0xBD]
            for _ in 0..<hiddenBytes { mark.withUnsafeBufferPointer { emit($0) } }
        }
        partial.removeAll(keepingCapacity: true)
        (isBroken, hiddenBytes, inRun) = (false, 0, false)
    }

    private mutating func emit(_ text: UnsafeBufferPointer<UInt8>) {
        var text = text
        while stripsLeft > 0, !text.isEmpty {
            if text.count >= plan.stripped.count, !plan.stripped.isEmpty, text.starts(with: plan.stripped) {
                text = UnsafeBufferPointer(rebasing: text[plan.stripped.count...])
                stripsLeft -= 1
            } else {
                stripsLeft = 0
            }
        }
        if !text.isEmpty { sink.append(bytes: text) }
    }

    mutating func finish() {
        endRun()
        sink.finish()
    }
}
