package import JSON
import Models

extension ModelPlan {
    /// Rows of the table: a name and its value.
    package var rows: [(String, String)] {
        let total = weights.byteCount + workBytes + cache.byteCount(length: length, sequences: 1)
        var rows = [
            ("model", "\(name) (\(description.family), \(description.layers.count) layers of \(description.hiddenSize), \(parameterText))"),
            ("device", deviceText),
            ("weights", "\(QuantityText.bytes(weights.byteCount)): " + weights.types.map { "\($0.name) \(QuantityText.bytes($0.byteCount))" }.joined(separator: ", ")),
            (
                "KV cache",
                "\(QuantityText.bytes(cache.bytesPerToken)) a token; \(QuantityText.bytes(cache.byteCount(length: length))) for a text of \(length) tokens, "
                    + "\(QuantityText.bytes(cache.byteCount(length: length, sequences: sequences))) for \(sequences) of them"
            ),
            ("work space", "\(QuantityText.bytes(workBytes))"),
            ("one text", "\(QuantityText.bytes(total)) of \(QuantityText.bytes(device.usableByteCount)) usable"),
            ("fits", fitText),
        ]
        for line in advice { rows.append(("advice", line)) }
        return rows
    }

    private var parameterText: String {
        let all = QuantityText.decimal(Double(weights.parameterCount))
        guard weights.expertCount > 0 else { return "\(all) parameters" }
        let active = QuantityText.decimal(weights.activeParameterCount)
        return "\(all) parameters, \(active) active: \(weights.activeExperts) of \(weights.expertCount) experts"
    }

    private var deviceText: String {
        "\(device.name): \(QuantityText.bytes(device.memoryByteCount)), \(QuantityText.decimal(device.memoryBandwidth))B/s, "
            + "\(QuantityText.decimal(device.rate(roofline.arithmetic)))\(roofline.arithmetic == .int8 ? "OP/s" : "FLOP/s") \(roofline.arithmetic.text)"
    }

    private var fitText: String {
        if texts > 0 { return "yes: \(texts) text\(texts == 1 ? "" : "s") of \(length) tokens at once" }
        if longestText > 0 { return "only texts up to \(longestText) tokens" }
        return "no: \(QuantityText.bytes(-min(0, cacheRoom) + cache.bytesPerBlock)) are missing"
    }

    /// The speeds, as a table with a head line.
    package var speedLines: [String] {
        var lines = ["at most, by memory bandwidth and arithmetic (\(context) tokens of context):"]
        for speed in decode {
            let each = speed.sequences > 1 ? ", \(QuantityText.tenths(speed.tokensPerSecond / Double(speed.sequences))) each" : ""
            lines.append(line("decode \(speed.sequences) text\(speed.sequences == 1 ? "" : "s")", speed, each))
        }
        lines.append(line("prefill", prefill, ""))
        return lines
    }

    private func line(_ name: String, _ speed: Roofline.Speed, _ more: String) -> String {
        "  " + name + String(repeating: " ", count: max(1, 18 - name.count))
            + "\(QuantityText.tenths(speed.tokensPerSecond)) tokens/s\(more) (bound by \(speed.isBoundByMemory ? "memory" : "arithmetic"))"
    }

    package var json: JSONValue {
        func speed(_ speed: Roofline.Speed) -> JSONValue {
            [
                "sequences": .int(speed.sequences), "tokens_per_second": .double(speed.tokensPerSecond),
                "bound_by": speed.isBoundByMemory ? "memory" : "arithmetic",
            ]
        }
        return [
            "model": .string(name), "family": .string(description.family), "layers": .int(description.layers.count),
            "parameters": .int(weights.parameterCount), "active_parameters": .double(weights.activeParameterCount),
            "device": [
                "name": .string(device.name), "memory_bytes": .int(device.memoryByteCount), "usable_bytes": .int(device.usableByteCount),
                "bandwidth_bytes_per_second": .double(device.memoryBandwidth), "operations_per_second": .double(device.rate(roofline.arithmetic)),
                "arithmetic": .string(roofline.arithmetic.rawValue),
            ],
            "weight_bytes": .int(weights.byteCount),
            "weight_types": .object(JSONObject(weights.types.map { ($0.name, JSONValue.int($0.byteCount)) })),
            "kv_cache": [
                "bytes_per_token": .int(cache.bytesPerToken), "bytes_per_text": .int(cache.byteCount(length: length)),
                "bytes_wanted": .int(cache.byteCount(length: length, sequences: sequences)), "bytes_available": .int(max(0, cacheRoom)),
            ],
            "work_bytes": .int(workBytes), "max_model_len": .int(length), "max_num_seqs": .int(sequences), "fits": .bool(fits),
            "longest_text": .int(longestText), "texts": .int(texts), "advice": .array(advice.map { .string($0) }),
            "context": .int(context), "decode": .array(decode.map(speed)), "prefill": speed(prefill),
        ]
    }
}
