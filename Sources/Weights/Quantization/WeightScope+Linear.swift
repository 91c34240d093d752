package import Tensors

/// Linear layers, whatever form a checkpoint keeps them in.
extension WeightScope {
    /// What the checkpoint's configuration says about quantisation; read once for all scopes of a tree.
    package func quantization() throws(LoadError) -> QuantizationScheme { try ledger.scheme(of: checkpoint) }

    /// Takes all tensors of a linear layer's weight: everything of the module but its bias.
    ///
    /// The tensors decide how it is stored, the configuration how codes are read. Tensors that only kernels with quantised activations need
    /// (`input_scale` and the like) are counted off. The whole weight is handed out, whatever the scope's shard.
    /// - name: the module, for instance `q_proj`: its tensors are `q_proj.weight` or `q_proj.qweight`, `q_proj.scales` and so on.
    /// - isTransposed: an unquantised `weight` is `[inputs, outputs]`, as `Conv1D` has it. Quantised layouts know no such difference.
    package func linear(_ name: String, outputs: Int, inputs: Int, isTransposed: Bool = false) throws(LoadError) -> StoredWeight {
        let scope = self[name], full = String(scope.prefix.dropLast())
        guard 1...0x7FFF_FFFF ~= outputs, 1...0x7FFF_FFFF ~= inputs else {
            throw .malformed(file: checkpoint.path, tensor: full, reason: "\(outputs) × \(inputs) is no possible size of a layer")
        }
        let layout = QuantizedLayout(scope), scheme = try quantization()
        func contradiction(_ reason: String) -> LoadError {
            .malformed(file: checkpoint.path, tensor: full, reason: "is stored in a quantised form (\(layout.name)), but \(reason)")
        }
        for tensor in Self.activationTensors where scope.contains(tensor) { scope.ignore(tensor) }
        if case .plain = layout {
            // What is left of a quantised layer tells which tensor is gone.
            if !scope.contains("weight"), let lost = Self.codesBeside.first(where: { scope.contains($0.rest) }) {
                throw .missingTensor(name: full + "." + lost.codes, file: checkpoint.path)
            }
            let view = try scope.weights("weight", shape: isTransposed ? [inputs, outputs] : [outputs, inputs])
            let weight = StoredWeight.dense(isTransposed ? try scope.transposed(view) : view)
            ledger.note(weight, nil)
            return weight
        }
        guard scheme.storesWeights else { throw contradiction("config.json has no quantization_config for weights") }
        guard let settings = scheme.quantization(of: full) else { throw contradiction("no group of \(scheme.file) is for it") }
        if scope.contains("pre_quant_scale") {
            throw .unsupported(file: checkpoint.path, reason: "'\(full)' scales its inputs (pre_quant_scale), which is not supported")
        }
        let module = ModuleTensors(scope: scope, outputs: outputs, inputs: inputs, settings: settings)
        let weight = try module.weight(layout, scheme)
        ledger.note(weight, settings)
        return weight
    }

    /// Takes the expert matrices of a gpt-oss projection: `name_blocks` u8 `[experts, outputs, inputs / 32, 16]` and `name_scales`.
    package func mxfp4Experts(_ name: String, count: Int, outputs: Int, inputs: Int) throws(LoadError) -> [StoredWeight] {
        guard inputs > 0, inputs % 32 == 0 else {
            throw .malformed(file: checkpoint.path, tensor: prefix + name, reason: "\(inputs) inputs do not fill MXFP4 blocks of 32")
        }
        let scheme = try quantization()
        guard let settings = scheme.quantization(of: prefix + name), settings.layout == .mxfp4 else {
            throw .malformed(
                file: checkpoint.path, tensor: prefix + name + "_blocks",
                reason: "is stored as MXFP4, but config.json has no quantization_config of mxfp4")
        }
        let blocks = try tensor(name + "_blocks", shape: [count, outputs, inputs / 32, 16])
        let scales = try tensor(name + "_scales", shape: [count, outputs, inputs / 32])
        var experts: [StoredWeight] = []
        for expert in 0..<count {
            do {
                let weight = try StoredWeight.mxfp4(blocks: try blocks[row: expert], scales: try scales[row: expert])
                ledger.note(weight, settings)
                experts.append(weight)
            } catch {
                throw .malformed(file: checkpoint.path, tensor: prefix + name + "_blocks", reason: error.reason)
            }
        }
        return experts
    }

    /// Takes a layer's bias if there is one that does anything: packers of AWQ and GPTQ files write zeros for layers that have none.
    /// - Returns: `[outputs]`; nil where there is none or all of it is 0.
    package func bias(_ name: String, outputs: Int) throws(LoadError) -> TensorView? {
        guard let view = try self[name].optional("bias", shape: [outputs]) else { return nil }
        guard view.dtype.isFloat else {
            throw .dtypeMismatch(name: prefix + name + ".bias", file: file(of: name + ".bias"), expected: [.bf16, .f16, .f32], found: view.dtype)
        }
        do {
            return try view.floats().allSatisfy { $0 == 0 } ? nil : view
        } catch {
            throw .malformed(file: checkpoint.path, tensor: prefix + name + ".bias", reason: error.reason)
        }
    }

    /// Takes an attention module's scales for a quantised KV cache: `stored = value / scale`. nil where the checkpoint has none; negative ones
    /// stand for none too.
    package func cacheScales() throws(LoadError) -> (key: Float?, value: Float?) {
        (
            try cacheScale(["k_scale", "k_proj.k_scale", "k_proj.output_scale", "attn.k_scale"]),
            try cacheScale(["v_scale", "v_proj.v_scale", "v_proj.output_scale", "attn.v_scale"])
        )
    }

    private func cacheScale(_ names: [String]) throws(LoadError) -> Float? {
        var found: Float?
        for name in names {
            guard let view = try optional(name) else { continue }
            guard let values = try? view.floats(), values.count == 1, let value = values.first else {
                throw .malformed(file: file(of: name), tensor: prefix + name, reason: "is no single scale, but \(view.dtype) \(view.shape)")
            }
            if value > 0, found == nil { found = value }
        }
        return found
    }

    /// The file that a tensor is in, for messages.
    func file(of name: String) -> String { record(name)?.file.path ?? checkpoint.path }

    /// Tensors of quantised layers, and those that cannot be without them.
    private static let codesBeside = [
        (rest: "qzeros", codes: "qweight"), (rest: "scales", codes: "qweight"), (rest: "weight_shape", codes: "weight_packed"),
        (rest: "weight_zero_point", codes: "weight_packed"),
    ]

    /// Tensors beside a weight that do not change it.
    private static let activationTensors = [
        "input_scale", "input_zero_point", "input_global_scale", "input_scale_ub", "output_scale", "k_scale", "v_scale", "q_scale", "weight_shape",
        "g_idx", "weight_g_idx", "weight_zero_point",
    ]

    /// `[inputs, outputs]` as `[outputs, inputs]`.
    private func transposed(_ view: TensorView) throws(LoadError) -> TensorView {
        do {
            return try view.transposed()
        } catch {
            throw .malformed(file: checkpoint.path, tensor: prefix + "weight", reason: error.reason)
        }
    }
}

extension ModuleTensors {
    /// Reads the weight in the form that tensors and settings agree on.
    fileprivate func weight(_ found: QuantizedLayout, _ scheme: QuantizationScheme) throws(LoadError) -> StoredWeight {
        switch (found, settings.layout) {
        case (.packedColumns, .awqGEMM), (.packedColumns, .awqGEMV): return try awq()
        case (.packedColumns, .gptq(let zerosLessOne)): return try gptq(zerosLessOne: zerosLessOne)
        case (.packedRows, .packedIntegers): return try packedIntegers()
        case (.packedRows, .nvfp4): return try nvfp4()
        case (.packedRows, .mxfp4): return try mxfp4()
        case (.float8, .float8): return try float8()
        case (.int8, .int8): return try int8()
        case (.bitsandbytes8, .bitsandbytes): return try bitsandbytes8()
        case (.bitsandbytes4(let state), .bitsandbytes): return try bitsandbytes4(state: state)
        default:
            throw .malformed(
                file: scope.checkpoint.path, tensor: String(scope.prefix.dropLast()),
                reason: "is stored in the form \(found.name), but \(scheme.file) says \(scheme.method.rawValue) with \(settings.bits) bits")
        }
    }
}
