import CKernels
import Glibc
import Tensors

/// Mixtures of experts in six passes over a batch: float32 input, router, choice, first products of all experts in one parallel loop,
/// second products likewise, sum per token.
///
/// A token's experts are added in the order of its own scores, so its result has the same bits whatever else is in the batch.
extension CPUBackend {
    /// Elements that one thread passes over before others have woken.
    private static let fewElements = 1 << 13

    package func mixture(_ input: LinearInput, _ mixture: Mixture, into y: Tensor) {
        guard input.rows > 0, let x = widen(input, width: mixture.hidden), let gates = route(x, mixture),
            let inner = computeInner(x, mixture), let output = computeOutput(inner, tokens: x.rows, mixture)
        else { return }
        combine(output, gates: gates, mixture, y)
    }

    /// Rows in loops of about equal work: `body` gets the first row, how many, and the worker.
    private func forRows(_ rows: Int, width: Int, _ body: (_ row: Int, _ count: Int, _ worker: Int) -> Void) {
        if rows * width <= Self.fewElements {
            body(0, rows, 0)
            return
        }
        let chunk = max(1, rows / (pool.threadCount * 4))
        pool.parallelFor((rows + chunk - 1) / chunk) { index, worker in body(index * chunk, min(chunk, rows - index * chunk), worker) }
    }

    /// The layer's input in float32, `[T, width]`: the router takes it unrounded.
    private func widen(_ input: LinearInput, width: Int) -> Tensor? {
        if case .plain(let x) = input { return x }
        let rows = input.rows
        guard let memory = scratch.buffer(.mixtureInput, rows * width * 4) else { return nil }
        forRows(rows, width: width) { row, count, _ in
            self.apply(input, row: row, count: count, width: width, nt_out(rows: memory + row * width * 4, stride: width * 4, type: NT_ACT_F32))
        }
        return Tensor(address: memory, dtype: .f32, rows: rows, columns: width)
    }

    // MARK: Choice

    /// Fills `experts`. Returns the logits of the shared expert's gate, `[T]`, meaningless where there is none.
    private func route(_ x: Tensor, _ mixture: Mixture) -> UnsafeMutablePointer<Float>? {
        let routing = mixture.routing, tokens = x.rows, count = routing.experts, chosen = routing.chosen
        guard let memory = scratch.buffer(.routerLogits, tokens * (count + 1) * 4),
            scratch.reserve(worker: max(routing.routingFloats, mixture.hidden, mixture.intermediate, mixture.shared?.down.inputs ?? 0) * 4)
        else { return nil }
        let logits = memory.assumingMemoryBound(to: Float.self), gates = logits + tokens * count
        let gate = mixture.shared?.gate
        guard begin(reordered: reorderedBytes(mixture.router, rows: tokens, NT_ACT_F32) + (gate.map { reorderedBytes($0, rows: tokens, NT_ACT_F32) } ?? 0))
        else { return nil }
        let unrounded = Activations(base: UnsafeRawPointer(x.address), stride: x.columns * 4, type: NT_ACT_F32)
        append(mixture.router, rows: tokens, y: logits, as: NT_ACT_F32, x: { _ in unrounded }, source: { (x.row($0), 1) })
        if let gate { append(gate, rows: tokens, y: gates, as: NT_ACT_F32, x: { _ in unrounded }, source: { (x.row($0), 1) }) }
        guard runProducts() else { return nil }
        experts.reserve(pairs: tokens * chosen, experts: count)
        let choice = experts.choice.base, weights = experts.weights.base, scratch = scratch.workerBases
        let correction = mixture.correctionBias?.floats
        // A token's choice costs some passes over its logits.
        forRows(tokens, width: count * 8) { first, rows, worker in
            guard let work = scratch[worker]?.assumingMemoryBound(to: Float.self) else { return }
            for token in first..<first + rows {
                routing.route(
                    logits + token * count, correction: correction, work: work, choice: choice + token * chosen, weights: weights + token * chosen)
            }
        }
        experts.sort(experts: count)
        return gates
    }

    // MARK: Products

    /// Begins a batch of products.
    /// - Parameter reordered: bytes of the rows that its matrices want in another order.
    private func begin(reordered byteCount: Int) -> Bool {
        products.removeAll()
        guard let memory = scratch.buffer(.reordered, byteCount) else { return false }
        reorders.begin(memory)
        return true
    }

    private func reorderedBytes(_ matrix: Matrix, rows: Int, _ form: nt_act? = nil) -> Int {
        var bytes = 0
        for part in matrix.onCPU.parts where part.inputOrder != nil { bytes += rows * Self.rowBytes(matrix.inputs, form ?? activationType(for: part)) }
        return bytes
    }

    /// Adds the products of a matrix's parts to the batch.
    /// - Parameters:
    ///   - form: what all parts take; nil for what each takes best.
    ///   - x: the rows in a form.
    ///   - source: a row in float32 and a factor on it, for parts that want it in another order.
    private func append(
        _ matrix: Matrix, rows: Int, y: UnsafeMutablePointer<Float>, as form: nt_act? = nil, x: (nt_act) -> Activations,
        source: (Int) -> (UnsafePointer<Float>, Float)
    ) {
        let bias = matrix.onCPU.bias?.floats
        for part in matrix.onCPU.parts {
            let form = form ?? activationType(for: part)
            let rowsInOrder = part.inputOrder.flatMap { reorders.append($0, rows: rows, width: matrix.inputs, form: form, source: source) }
            products.append(
                part, inputs: matrix.inputs, bias: bias.map { UnsafePointer($0 + part.firstColumn) }, x: rowsInOrder ?? x(form), rows: rows,
                y: y + part.firstColumn, yStride: matrix.outputs, rowsPerTile: Self.rowsPerTile)
        }
    }

    private func runProducts() -> Bool {
        guard scratch.reserve(worker: products.scratchBytes) else { return false }
        reorders.run(on: pool, scratch: scratch.workerBases)
        products.run(on: pool, scratch: scratch.workerBases)
        return true
    }

    /// The forms that a matrix's parts take rows in.
    /// - Parameter reordered: what a part with an order of its own is made from; nil for nothing.
    private func forms(of matrix: Matrix, reordered: nt_act? = nil) -> UInt32 {
        var forms: UInt32 = 0
        for part in matrix.onCPU.parts {
            if let form = part.inputOrder == nil ? activationType(for: part) : reordered { forms |= CPUNarrowedRows.bit(form) }
        }
        return forms
    }

    private func rowCount(of expert: Int) -> Int { experts.starts.base[expert + 1] - experts.starts.base[expert] }

    /// Rows in each of `forms`, in the memory for narrowed activations.
    private func narrow(_ x: Tensor, to forms: UInt32) -> CPUNarrowedRows? {
        guard let base = scratch.narrowed(CPUNarrowedRows.byteCount(forms: forms, width: x.columns, rows: x.rows)) else { return nil }
        let narrowed = CPUNarrowedRows(forms: forms, width: x.columns, rows: x.rows, base: base)
        if forms == 0 { return narrowed }
        forRows(x.rows, width: x.columns) { row, count, _ in
            CPUNarrowedRows.forEach(forms) { nt_store_rows(x.floats + row * x.columns, x.columns, count, x.columns, narrowed.destination(row, as: $0)) }
        }
        return narrowed
    }

    /// What the first products give: rows of the chosen experts, then the shared expert's, one for each token.
    private struct Inner {
        let expertRows: UnsafeMutablePointer<Float>
        let sharedRows: UnsafeMutablePointer<Float>
    }

    private func computeInner(_ x: Tensor, _ mixture: Mixture) -> Inner? {
        let routing = mixture.routing, tokens = x.rows, pairs = experts.pairs.count, columns = mixture.gateUp[0].outputs
        var expertForms: UInt32 = 0, reordered = 0
        for expert in 0..<routing.experts where rowCount(of: expert) > 0 {
            expertForms |= self.forms(of: mixture.gateUp[expert])
            reordered += reorderedBytes(mixture.gateUp[expert], rows: rowCount(of: expert))
        }
        var forms: UInt32 = routing.weightsInput ? 0 : expertForms
        if let shared = mixture.shared {
            forms |= self.forms(of: shared.gateUp)
            reordered += reorderedBytes(shared.gateUp, rows: tokens)
        }
        let sharedColumns = mixture.shared?.gateUp.outputs ?? 0
        guard let memory = scratch.buffer(.expertInner, (pairs * columns + tokens * sharedColumns) * 4), let narrowed = narrow(x, to: forms),
            let gathered = gather(narrowed, x, mixture, forms: expertForms), begin(reordered: reordered)
        else { return nil }
        let inner = memory.assumingMemoryBound(to: Float.self)
        let sources = experts.pairs.base, weights = experts.weights.base
        for expert in 0..<routing.experts {
            let rows = rowCount(of: expert), first = experts.starts.base[expert]
            if rows == 0 { continue }
            append(
                mixture.gateUp[expert], rows: rows, y: inner + first * columns,
                x: { self.input(of: first, rows: rows, narrowed: narrowed, gathered: gathered, mixture, as: $0) },
                source: { row in
                    let pair = Int(sources[first + row])
                    return (x.row(pair / routing.chosen), routing.weightsInput ? weights[pair] : 1)
                })
        }
        if let shared = mixture.shared {
            append(
                shared.gateUp, rows: tokens, y: inner + pairs * columns, x: { narrowed.rows(from: 0, as: $0) }, source: { (x.row($0), 1) })
        }
        return runProducts() ? Inner(expertRows: inner, sharedRows: inner + pairs * columns) : nil
    }

    /// An expert with one row takes it where it lies.
    private func input(
        of first: Int, rows: Int, narrowed: CPUNarrowedRows, gathered: CPUNarrowedRows, _ mixture: Mixture, as form: nt_act
    ) -> Activations {
        if rows == 1, !mixture.routing.weightsInput {
            return narrowed.rows(from: Int(experts.pairs.base[first]) / mixture.routing.chosen, as: form)
        }
        return gathered.rows(from: first, as: form)
    }

    /// The narrowed rows by expert, so that each expert's are evenly spaced; weighed before they are rounded where the routing says so.
    private func gather(_ narrowed: CPUNarrowedRows, _ x: Tensor, _ mixture: Mixture, forms: UInt32) -> CPUNarrowedRows? {
        let pairs = experts.pairs.count, width = x.columns, chosen = mixture.routing.chosen
        guard let base = scratch.buffer(.expertRows, CPUNarrowedRows.byteCount(forms: forms, width: width, rows: pairs)) else { return nil }
        let gathered = CPUNarrowedRows(forms: forms, width: width, rows: pairs, base: base)
        let sources = experts.pairs.base, weights = experts.weights.base, scratch = scratch.workerBases
        if mixture.routing.weightsInput {
            forRows(pairs, width: width) { first, rows, worker in
                guard let weighed = scratch[worker]?.assumingMemoryBound(to: Float.self) else { return }
                for row in first..<first + rows {
                    let pair = Int(sources[row])
                    nt_scale(weighed, x.floats + pair / chosen * width, weights[pair], width)
                    CPUNarrowedRows.forEach(forms) { nt_store_rows(weighed, width, 1, width, gathered.destination(row, as: $0)) }
                }
            }
        } else if x.rows > 1 {
            forRows(pairs, width: width) { first, rows, _ in
                for row in first..<first + rows {
                    CPUNarrowedRows.forEach(forms) { form in
                        let source = narrowed.rows(from: Int(sources[row]) / chosen, as: form)
                        memcpy(gathered.destination(row, as: form).rows, source.base, source.stride)
                    }
                }
            }
        }
        return gathered
    }

    /// What the second products give, laid out as `Inner`.
    private func computeOutput(_ inner: Inner, tokens: Int, _ mixture: Mixture) -> Inner? {
        let pairs = experts.pairs.count, hidden = mixture.hidden, width = mixture.intermediate
        let sharedTokens = mixture.shared == nil ? 0 : tokens, sharedWidth = mixture.shared?.down.inputs ?? 0
        var forms: UInt32 = 0, sharedForms: UInt32 = 0, reordered = 0
        for expert in 0..<mixture.routing.experts where rowCount(of: expert) > 0 {
            forms |= self.forms(of: mixture.down[expert], reordered: NT_ACT_F32)
            reordered += reorderedBytes(mixture.down[expert], rows: rowCount(of: expert))
        }
        if let shared = mixture.shared {
            sharedForms = self.forms(of: shared.down, reordered: NT_ACT_F32)
            reordered += reorderedBytes(shared.down, rows: tokens)
        }
        // The shared expert's rows begin at a multiple of 64 bytes, since every row of either takes one.
        let expertBytes = CPUNarrowedRows.byteCount(forms: forms, width: width, rows: pairs)
        let sharedBytes = CPUNarrowedRows.byteCount(forms: sharedForms, width: sharedWidth, rows: sharedTokens)
        guard let base = scratch.narrowed(expertBytes + sharedBytes), begin(reordered: reordered),
            let memory = scratch.buffer(.expertOutput, (pairs + sharedTokens) * hidden * 4)
        else { return nil }
        let output = memory.assumingMemoryBound(to: Float.self)
        let activated = CPUNarrowedRows(forms: forms, width: width, rows: pairs, base: base)
        activate(inner.expertRows, columns: mixture.gateUp[0].outputs, mixture.activation, isGated: mixture.isGated, into: activated)
        for expert in 0..<mixture.routing.experts {
            let rows = rowCount(of: expert), first = experts.starts.base[expert]
            if rows == 0 { continue }
            append(
                mixture.down[expert], rows: rows, y: output + first * hidden, x: { activated.rows(from: first, as: $0) },
                source: { (activated.floats(first + $0), 1) })
        }
        if let shared = mixture.shared {
            let activated = CPUNarrowedRows(forms: sharedForms, width: sharedWidth, rows: tokens, base: base + expertBytes)
            activate(inner.sharedRows, columns: shared.gateUp.outputs, shared.activation, isGated: shared.isGated, into: activated)
            append(
                shared.down, rows: tokens, y: output + pairs * hidden, x: { activated.rows(from: 0, as: $0) },
                source: { (activated.floats($0), 1) })
        }
        return runProducts() ? Inner(expertRows: output, sharedRows: output + pairs * hidden) : nil
    }

    private func activate(_ inner: UnsafeMutablePointer<Float>, columns: Int, _ activation: Activation, isGated: Bool, into rows: CPUNarrowedRows) {
        forRows(rows.rows, width: rows.width) { row, count, _ in
            let gate = inner + row * columns
            CPUNarrowedRows.forEach(rows.forms) { form in
                activation.apply(
                    gate: gate, up: isGated ? gate + rows.width : nil, stride: columns, rows: count, width: rows.width,
                    rows.destination(row, as: form))
            }
        }
    }

    // MARK: Sum

    private func combine(_ output: Inner, gates: UnsafeMutablePointer<Float>, _ mixture: Mixture, _ y: Tensor) {
        let hidden = mixture.hidden, chosen = mixture.routing.chosen, places = experts.places.base, weights = experts.weights.base
        let hasShared = mixture.shared != nil, isSharedGated = mixture.shared?.gate != nil, weighsOutput = !mixture.routing.weightsInput
        let tokens = experts.pairs.count / chosen
        forRows(tokens, width: hidden * chosen) { first, rows, _ in
            for token in first..<first + rows {
                let sum = y.floats + token * hidden
                for pair in token * chosen..<(token + 1) * chosen {
                    let row = output.expertRows + Int(places[pair]) * hidden, weight = weighsOutput ? weights[pair] : 1
                    if pair > token * chosen { nt_add_scaled(sum, row, weight, hidden) } else { nt_scale(sum, row, weight, hidden) }
                }
                guard hasShared else { continue }
                var gate: Float = 1
                if isSharedGated {
                    withUnsafeMutablePointer(to: &gates[token]) {
                        nt_activate(NT_SIGMOID, $0, 1, nil, 0, 1, 1, nt_out(rows: $0, stride: 0, type: NT_ACT_F32))
                    }
                    gate = gates[token]
                }
                nt_add_scaled(sum, output.sharedRows + token * hidden, gate, hidden)
            }
        }
    }
}

extension Tensor {
    fileprivate func row(_ index: Int) -> UnsafePointer<Float> { UnsafePointer(floats + index * columns) }
}
