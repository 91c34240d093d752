import Compute
import Glibc
import Models
import Weights

/// The model's keys in a GGUF file, as llama.cpp's converter names them.
enum GGUFHeader {
    static func metadata(
        _ config: ConfigReader, _ family: GGUFFamily, _ model: DecoderDescription, fileType: UInt32, folder: String
    ) throws -> [(String, GGUFValue)] {
        guard let attention = model.layers.first?.attention, let mlp = model.layers.first?.mlp else {
            throw QuantiseError("only layers of attention and a dense MLP can be written as GGUF yet")
        }
        guard model.layers.allSatisfy({ $0.attention?.heads == attention.heads && $0.attention?.kvHeads == attention.kvHeads && $0.mlp == mlp }) else {
            throw QuantiseError("layers of different shapes cannot be written as GGUF yet")
        }
        let arch = family.architecture
        let name = folder.split(separator: "/").last.map(String.init) ?? "model"
        var keys: [(String, GGUFValue)] = [
            ("general.architecture", .string(arch)), ("general.type", .string("model")), ("general.name", .string(name)),
            ("general.quantization_version", .u32(2)), ("general.file_type", .u32(fileType)),
            ("\(arch).block_count", .u32(try count(model.layers.count))),
            ("\(arch).context_length", .u32(try count(try config.int("max_position_embeddings", in: 1...1 << 30, default: model.maxPositions)))),
            ("\(arch).embedding_length", .u32(try count(model.hiddenSize))),
            ("\(arch).feed_forward_length", .u32(try count(mlp.intermediateSize))),
            ("\(arch).attention.head_count", .u32(try count(attention.heads))),
            ("\(arch).attention.head_count_kv", .u32(try count(attention.kvHeads))),
            ("\(arch).attention.key_length", .u32(try count(attention.headDimension))),
            ("\(arch).attention.value_length", .u32(try count(attention.headDimension))),
            ("\(arch).attention.layer_norm_rms_epsilon", .f32(model.norm.epsilon)),
            ("\(arch).vocab_size", .u32(try count(model.vocabularySize))),
            ("\(arch).rope.freq_base", .f32(Float(try theta(config)))),
            ("\(arch).rope.dimension_count", .u32(try count(attention.rope?.rotaryDimension ?? attention.headDimension))),
        ]
        let windows = Set(model.layers.map(\.slidingWindow))
        if windows.count > 1 { throw QuantiseError("models that mix sliding and full attention cannot be written as GGUF yet") }
        if let window = attention.slidingWindow { keys.append(("\(arch).attention.sliding_window", .u32(try count(window)))) }
        return keys + (try scaling(config, arch))
    }

    private static func count(_ value: Int) throws -> UInt32 {
        guard let value = UInt32(exactly: value) else { throw QuantiseError("\(value) is too large for a GGUF file") }
        return value
    }

    private static func theta(_ config: ConfigReader) throws -> Double {
        if let given = try config.object(optional: "rope_parameters")?.double(optional: "rope_theta") { return given }
        return try config.double("rope_theta", default: 10_000)
    }

    private static func rope(_ config: ConfigReader) throws -> (type: String, reader: ConfigReader)? {
        guard let reader = try config.object(optional: "rope_parameters") ?? config.object(optional: "rope_scaling") else { return nil }
        let type = try reader.string("rope_type", "type", default: "default")
        return type == "default" || type == "mrope" ? nil : (type, reader)
    }

    private static func scaling(_ config: ConfigReader, _ arch: String) throws -> [(String, GGUFValue)] {
        guard let (type, reader) = try rope(config) else { return [] }
        switch type {
        case "llama3": return []
        case "linear":
            return [("\(arch).rope.scaling.type", .string("linear")), ("\(arch).rope.scaling.factor", .f32(try reader.float("factor")))]
        case "yarn":
            for key in ["attention_factor", "mscale", "beta_fast", "beta_slow", "truncate"] where reader.has(key) {
                throw QuantiseError("YaRN with '\(key)' cannot be written as GGUF yet")
            }
            let original = try reader.int(optional: "original_max_position_embeddings", in: 1...1 << 30)
                ?? config.int("max_position_embeddings", in: 1...1 << 30)
            return [
                ("\(arch).rope.scaling.type", .string("yarn")), ("\(arch).rope.scaling.factor", .f32(try reader.float("factor"))),
                ("\(arch).rope.scaling.original_context_length", .u32(try count(original))),
            ]
        default: throw QuantiseError("rope scaling '\(type)' cannot be written as GGUF yet")
        }
    }

    /// What Llama 3's scaling divides the frequencies by, `[rotary / 2]`: GGUF has a tensor for it.
    static func rotationDivisors(_ config: ConfigReader, _ model: DecoderDescription) throws -> [Float]? {
        guard try rope(config)?.type == "llama3", let rope = model.layers.first?.attention?.rope, case .fixed(let frequencies) = rope.rule else { return nil }
        let theta = Float(try theta(config))
        return frequencies.enumerated().map { pair, frequency in
            1 / powf(theta, Float(2 * pair) / Float(rope.rotaryDimension)) / frequency
        }
    }
}
