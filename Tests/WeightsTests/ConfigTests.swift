import JSON
import Testing
import Weights

struct ConfigTests {
    private func reader(_ text: String) throws -> ConfigReader { try ConfigReader(file: try mapped(text, "config.json")) }

    @Test func getters() throws {
        let config = try reader(
            """
            {"layers": 3, "big": 5000000000, "half": 2.0, "eps": 1e-05, "tied": true, "act": "silu", "none": null, "list": [1, 2], "one": 7,
             "names": ["a", "b"], "rope_parameters": {"full_attention": {"rope_theta": 10000.0}, "kind": 1}, "factors": [1, 1.5], "nan": NaN}
            """)
        #expect(try config.int("layers") == 3 && config.int("half") == 2 && config.int("n_layer", "layers") == 3)
        #expect(try config.int("none", default: 4) == 4 && config.int(optional: "none") == nil && config.int("big", in: 0 ... .max) == 5_000_000_000)
        #expect(try config.float("eps") == 1e-5 && config.double("layers") == 3 && config.float("x", default: 0.5) == 0.5)
        #expect(try config.bool("tied") && config.bool("x", default: true) && config.bool(optional: "x") == nil)
        #expect(try config.string("act") == "silu" && config.strings("names") == ["a", "b"] && config.strings(optional: "x") == nil)
        #expect(try config.ints("list") == [1, 2] && config.ints("one") == [7] && config.doubles("factors") == [1, 1.5])
        let rope = try config.object("rope_parameters")
        #expect(try rope.object("full_attention").double("rope_theta") == 10000)
        #expect(rope.objects.map(\.key) == ["full_attention"])
        #expect(config.has("layers") && !config.has("none") && !config.has("x") && config.value("act") == "silu")
        try config.require("act", is: "silu", "swish")
        try config.require("x", is: "silu")
    }

    @Test func messages() throws {
        let config = try reader(#"{"layers": "three", "big": 5000000000, "rope": {"theta": []}, "act": "gelu", "list": [1, "x"], "nan": NaN, "minus": -1}"#)
        #expect(message { _ = try config.int("layers") } == #"config.json: 'layers' must be an integer, but is "three""#)
        #expect(message { _ = try config.int("big") } == "config.json: 'big' must be from 0 to 2147483647, but is 5000000000")
        #expect(message { _ = try config.int("minus", default: 3) }.contains("must be from 0"))
        #expect(message { _ = try config.int("n_layer", "num_layers") } == "config.json: 'n_layer' is missing (so is num_layers)")
        #expect(message { _ = try config.object("rope").float("theta") } == "config.json: 'rope.theta' must be a finite number, but is []")
        #expect(message { _ = try config.double("nan") }.contains("must be a finite number"))
        #expect(message { _ = try reader(#"{"x": 1e39}"#).float("x") }.contains("fits 32-bit"))
        #expect(message { _ = try config.ints("list") } == #"config.json: 'list[1]' must be an element of a list of integers, but is "x""#)
        #expect(message { try config.require("act", is: "silu") } == "config.json: 'act' is 'gelu'; only 'silu' is supported")
        #expect(message { _ = try config.bool("act") }.contains("true or false"))
        #expect(message { _ = try config.object("act") }.contains("must be an object"))
        #expect(message { _ = try config.strings("act") }.contains("a list of strings"))
        #expect(message { _ = try reader("[1]") } == "config.json: is a JSON array, not an object")
        #expect(message { _ = try reader("{") }.contains("line 1"))
    }

    @Test func generation() throws {
        let full = try GenerationConfig(
            try reader(
                #"{"do_sample": true, "temperature": 0.6, "top_k": 50, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.1, "max_new_tokens": 9, "eos_token_id": [1, 2], "bos_token_id": 0, "pad_token_id": -1}"#
            ))
        #expect(full.doSample == true && full.temperature == 0.6 && full.topK == 50 && full.topP == 0.9 && full.minP == 0.05)
        #expect(full.repetitionPenalty == 1.1 && full.maxNewTokens == 9 && full.eosTokens == [1, 2] && full.bosToken == 0 && full.padToken == nil)
        #expect(try GenerationConfig(try reader(#"{"eos_token_id": 5}"#)).eosTokens == [5])
        #expect(try GenerationConfig(try reader(#"{"eos_token_id": null, "top_k": null}"#)) == GenerationConfig())
        #expect(message { _ = try GenerationConfig(try reader(#"{"eos_token_id": "5"}"#)) }.contains("'eos_token_id' must be a list of integers"))
    }
}
