/// The splitting that a GGUF file names in `tokenizer.ggml.pre`.
///
/// Names and patterns follow llama.cpp (src/llama-vocab.cpp, 2026). Where that file had to rewrite a model's published pattern for its
/// own engine and quotes the original, the original stands here.
struct GGUFPreTokenizer: Sendable {
    var patterns: [String]
    var ignoresMerges = false
    var addsBOS = false
    /// The published tokenizer composes characters first; llama.cpp leaves that to the caller.
    var composes = false
    /// Pieces are plain UTF-8 with `▁` for spaces.
    var isPlain = false

    private static let spaces = #"|\s+(?!\S)|\s+"#
    private static let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    private static let gpt2 = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+"# + spaces
    private static let upper = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#, lower = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#
    private static let lines = #"[^\n]+|[\n]+"#

    private static func cl100k(_ digits: String, _ newlines: String = #"[\r\n]*|\s*[\r\n]+"#, contractions: String = contractions + "|") -> String {
        #"\#(contractions)[^\r\n\p{L}\p{N}]?\p{L}+|\#(digits)| ?[^\s\p{L}\p{N}]+\#(newlines)"# + spaces
    }

    private static func cased(_ contractions: String, _ digits: String) -> String {
        #"[^\r\n\p{L}\p{N}]?\#(upper)*\#(lower)+\#(contractions)|[^\r\n\p{L}\p{N}]?\#(upper)+\#(lower)*\#(contractions)|\#(digits)"#
            + #"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+"# + spaces
    }

    private static func deepseek(_ end: String = "[\r\n]*|\\s*[\r\n]+") -> String {
        "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+\(end)" + spaces
    }

    static func named(_ name: String) throws(TokenizerError) -> GGUFPreTokenizer {
        let one = #"\p{N}"#, three = #"\p{N}{1,3}"#, cjk = "[" + escaped("4e00-9fa5 3040-309f 30a0-30ff") + "]+"
        switch name {
        case "", "default":
            return GGUFPreTokenizer(patterns: [#"[\p{P}\$\+<=>\^~\|]+"#, gpt2, #"\p{N}+"#, "[0-9][0-9][0-9]"])
        case "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano":
            return GGUFPreTokenizer(patterns: [cl100k(three)], ignoresMerges: true, addsBOS: true)
        case "dbrx", "smaug-bpe", "glm4", "chatglm-bpe": return GGUFPreTokenizer(patterns: [cl100k(three)])
        case "minicpm5": return GGUFPreTokenizer(patterns: [three, cl100k(#"\p{N}+"#)], ignoresMerges: true)
        case "jais-2":
            let runs = ["512", "256", "128", "64", "32", "16", "8", "4", "1,2"].map { #"|\s{\#($0)}(?!\S)"# }.joined()
            let whole = cl100k(three)
            return GGUFPreTokenizer(patterns: [String(whole.dropLast(spaces.count)) + runs + #"|\s{1}"#])
        case "deepseek-llm":
            return GGUFPreTokenizer(patterns: [
                "[\r\n]", "\\s?[\(deepseekLetters)]+", "\\s?[!-/:-~！-／：-～‘-‟　-。]+", "\\s+$", asianRuns, #"\p{N}+"#,
            ])
        case "deepseek-coder":
            return GGUFPreTokenizer(patterns: ["[\r\n]", #"\s?\p{L}+"#, #"\s?\p{P}+"#, asianRuns, one])
        case "deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4": return GGUFPreTokenizer(patterns: [three, cjk, deepseek()])
        case "spark2_5": return GGUFPreTokenizer(patterns: [three, cjk, deepseek("|[\r\n]"), one])
        case "youtu":
            let asian = "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+"
            return GGUFPreTokenizer(patterns: [asian, cased(contractions + "?", one)], ignoresMerges: true)
        case "falcon": return GGUFPreTokenizer(patterns: [#"[\p{P}\$\+<=>\^~\|`]+"#, gpt2, "[0-9][0-9][0-9]"])
        case "starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2":
            return GGUFPreTokenizer(patterns: [one, gpt2], composes: name == "command-r")
        case "gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum", "modern-bert", "mpt", "olmo",
            "jais", "trillion", "granite-docling", "exaone4", "jina-v1-en", "jina-v2-code", "roberta-bpe":
            return GGUFPreTokenizer(patterns: [gpt2], composes: name == "olmo" || name == "mpt")
        case "stablelm2", "qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "hunyuan", "solar-open", "megrez", "grok-2":
            return GGUFPreTokenizer(patterns: [cl100k(one)], composes: ["stablelm2", "qwen2", "deepseek-r1-qwen", "megrez"].contains(name))
        case "qwen35":
            let marked = #"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+"#
            return GGUFPreTokenizer(patterns: [contractions + "|" + marked + spaces], composes: true)
        case "poro-chat", "bloom", "gpt3-finnish": return GGUFPreTokenizer(patterns: [bloom])
        case "viking": return GGUFPreTokenizer(patterns: [bloom, one])
        case "tekken": return GGUFPreTokenizer(patterns: [cased("", one)], ignoresMerges: true, addsBOS: true)
        case "chameleon":
            return GGUFPreTokenizer(
                patterns: ["<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )", one, #"[\p{P}!-/:-@\[-`{-~]"#, gpt2],
                addsBOS: true)
        case "gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2", "granite-embed-multi-97m":
            return GGUFPreTokenizer(patterns: [cased(contractions + "?", three)], ignoresMerges: name == "granite-embed-multi-97m")
        case "tiny_aya", "cohere2moe":
            return GGUFPreTokenizer(patterns: [#"\d{1,3}(?=(?:\d{3})*\b)"#, cased(contractions + "?", three)], composes: true)
        case "kimi-k2":
            let upper = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"#, lower = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"#
            let words = #"[^\r\n\p{L}\p{N}]?\#(upper)*\#(lower)+\#(contractions)?|[^\r\n\p{L}\p{N}]?\#(upper)+\#(lower)*\#(contractions)?"#
            return GGUFPreTokenizer(
                patterns: [#"[\p{Han}]+|\#(words)|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"# + spaces], ignoresMerges: true)
        case "superbpe": return GGUFPreTokenizer(patterns: [#"\p{N}+"#, #"(?=(\d{3})+(?!\d))"#])
        case "bailingmoe", "bailingmoe2", "llada-moe":
            return GGUFPreTokenizer(patterns: [
                #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]"# + spaces,
            ])
        case "seed-coder":
            return GGUFPreTokenizer(patterns: [
                contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+"# + spaces,
            ])
        case "ufakzeka": return GGUFPreTokenizer(patterns: [cl100k(one, contractions: "")])
        case "afmoe":
            // Digits in groups of three from the right, then Asian scripts, then words.
            let asian = "[" + escaped("4e00-9fff 3400-4dbf f900-faff 3040-309f 30a0-30ff ff65-ff9f 2f00-2fdf e40-e7f e80-eff 1780-17ff 1000-109f "
                + "aa60-aa7f a9e0-a9ff ac00-d7af 1100-11ff") + "]+"
            return GGUFPreTokenizer(patterns: [#"\p{Nd}{1,3}(?=(?:\p{Nd}{3})*(?!\p{Nd}))"#, asian, deepseek()])
        case "laguna": return GGUFPreTokenizer(patterns: [lines, cl100k(one)])
        case "exaone-moe":
            return GGUFPreTokenizer(patterns: [
                contractions + #"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]"# + spaces,
            ])
        case "gemma4", "granite-embed-multi-311m", "sarvam-moe":
            return GGUFPreTokenizer(patterns: [lines], addsBOS: name != "sarvam-moe", isPlain: true)
        default: throw .unsupported(part: "tokenizer.ggml.pre", name: name)
        }
    }

    private static let asianRuns = "[" + escaped("4e00-9fa5 800-4e00 ac00-d7ff") + "]+"
    private static let bloom = #" ?[^(\s|.,!?…。，、।۔،)]+"#
    /// Letters with case, as DeepSeek-LLM lists them.
    private static let deepseekLetters = "A-Za-z" + escaped("""
        b5 c0-d6 d8-f6 f8-1ba 1bc-1bf 1c4-293 295-2af 370-373 376 377 37b-37d 37f 386 388-38a 38c 38e-3a1 3a3-3f5 3f7-481 \
        48a-52f 531-556 10a0-10c5 13a0-13f5 13f8-13fd 1c90-1cba 1cbd-1cbf 1d00-1d2b 1d6b-1d77 1d79-1d9a 1e00-1f15 1f18-1f1d \
        1f20-1f45 1f48-1f4d 1f50-1f57 1f59 1f5b 1f5d 1f5f-1f7d 1f80-1fb4 1fb6-1fbc 1fbe 1fc2-1fc4 1fc6-1fcc 1fd0-1fd3 \
        1fd6-1fdb 1fe0-1fec 1ff2-1ff4 1ff6-1ffc 2102 2107 210a-2113 2115 2119-211d 2124 2126 2128 212a-212d 212f-2134 2139 \
        213c-213f 2145-2149 214e 2183 2184 2c00-2c7b 2c7e-2ce4 2ceb-2cee 2cf2 2cf3 a640-a66d a680-a69b a722-a76f a771-a787 \
        a78b-a78e ab70-abbf fb00-fb06 fb13-fb17 ff21-ff3a ff41-ff5a 10400-1044f 104b0-104d3 104d8-104fb 10c80-10cb2 \
        10cc0-10cf2 118a0-118df 1e900-1e943
        """)

    /// Ranges of scalars in hexadecimal as the inside of a class: written so, no tool can compose or decompose them by the way.
    private static func escaped(_ ranges: String) -> String {
        ranges.split(separator: " ").map { range in range.split(separator: "-").map { "\\x{\($0)}" }.joined(separator: "-") }.joined()
    }
}
