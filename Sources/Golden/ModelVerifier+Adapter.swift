import Models

extension ModelVerifier {
    /// A model with an adapter beside it: both against the reference, and sequences with and without the adapter in one batch bit for bit as
    /// alone, before and after the adapter is removed and installed again.
    func verifyAdapter(
        _ folder: String, _ source: ModelSource, _ runner: DecoderRunner, _ golden: ModelGolden, _ tolerance: ModelTolerance, _ session: inout DirectSession,
        _ report: inout ModelReport
    ) throws {
        guard let baseLogits = golden.baseLogits else { return }
        var base: [[Float]] = []
        for (index, prompt) in golden.prompts.enumerated() {
            let logits = try session.append([(session.open(promptLength: prompt.count), prompt)])[0]
            compareLogits(logits, baseLogits[index], golden, index, tolerance, &report)
            base.append(logits)
        }
        let adapter = try source.adapters(of: runner).load(folder: folder)
        try runner.install(adapter, as: 1)
        session.adapter = 1
        try compare(golden, tolerance, &session, &report)
        // Under a second number, to see that places are found again.
        try runner.install(adapter, as: 2)
        runner.removeAdapter(1)
        try runner.install(adapter, as: 3)
        try compareMixed(golden, base, &session, &report)
    }

    /// Base rows between rows of two adapters (the same weights), in one batch: all rows' logits, and the last ones alone.
    private func compareMixed(
        _ golden: ModelGolden, _ base: [[Float]], _ session: inout DirectSession, _ report: inout ModelReport
    ) throws {
        var adapted: [[Float]] = []
        for prompt in golden.prompts {
            session.adapter = 2
            adapted.append(try session.append([(session.open(promptLength: prompt.count), prompt)])[0])
        }
        for allRows in [false, true] {
            var pieces: [(sequence: Int, tokens: [Int32])] = [], want: [[Float]] = []
            for (index, prompt) in golden.prompts.enumerated() {
                for adapter: Int32 in [0, 2, 3, 0] {
                    session.adapter = adapter
                    pieces.append((session.open(promptLength: prompt.count), prompt))
                    want.append(adapter == 0 ? base[index] : adapted[index])
                }
            }
            let rows = try session.append(pieces, allRows: allRows)
            var row = -1
            for (index, piece) in pieces.enumerated() {
                row += allRows ? piece.tokens.count : 1
                if rows[row] != want[index] {
                    report.failures.append("sequence \(index) of a batch with and without adapters is not bit-identical to it alone")
                }
            }
        }
        session.adapter = 0
    }
}
