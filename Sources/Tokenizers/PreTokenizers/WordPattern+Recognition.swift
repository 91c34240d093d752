/// The texts by which published tokenizers write the patterns that `WordPattern` knows.
extension WordPattern {
    static let gpt2 = WordPattern(family: .gpt2, contractions: .lowerCase)

    private static let spaces = #"|\s+(?!\S)|\s+"#
    private static let lower = "'s|'t|'re|'ve|'m|'ll|'d"
    private static let upper = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#, follow = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#
    private static let prefix = #"[^\r\n\p{L}\p{N}]?"#

    private static func cased(_ contraction: String, digits: String) -> String {
        "\(prefix)\(upper)*\(follow)+\(contraction)|\(prefix)\(upper)+\(follow)*\(contraction)|\(digits)"
            + #"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+"# + spaces
    }

    private static let known: [String: WordPattern] = {
        var known: [String: WordPattern] = [:]
        let plain = #" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+"# + spaces
        known["\(lower)|\(plain)"] = .gpt2
        known["'(?:[sdmt]|ll|ve|re)|\(plain)"] = .gpt2
        known["(?:\(lower))|\(plain)"] = .gpt2
        let written: [(String, Contractions)] = [
            ("(?i:\(lower))", .anyCase), ("(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])", .anyCaseASCII),
            ("'(?i:[sdmt]|ll|ve|re)", .anyCase),
        ]
        let counts: [(String, Int)] = [
            (#"\p{N}"#, 1), (#"\p{N}{1}"#, 1), (#"\p{N}{1,3}"#, 3), (#"\p{N}{1,2}"#, 2), (#"\p{N}+"#, .max),
        ]
        for (digits, limit) in counts {
            for (contraction, kind) in written {
                for possessive in [false, true] {
                    let (one, run) = possessive ? ("?+", "++") : ("?", "+")
                    let letters = #"\#(contraction)|[^\r\n\p{L}\p{N}]\#(one)\p{L}+|\#(digits)| ?[^\s\p{L}\p{N}]\#(run)[\r\n]*|\s*[\r\n]+"#
                    known[letters + spaces] = WordPattern(
                        family: .cl100k(marksAreLetters: false), contractions: kind, digits: limit)
                }
                let marked = #"\#(contraction)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\#(digits)| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+"#
                known[marked + spaces] = WordPattern(family: .cl100k(marksAreLetters: true), contractions: kind, digits: limit)
                known[cased("\(contraction)?", digits: digits)] = WordPattern(family: .o200k, contractions: kind, digits: limit)
            }
            let bare = #"[^\r\n\p{L}\p{N}]?\p{L}+|\#(digits)| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"# + spaces
            known[bare] = WordPattern(family: .cl100k(marksAreLetters: false), digits: limit)
            known[cased("", digits: digits)] = WordPattern(family: .o200k, digits: limit)
            known[digits] = WordPattern(family: .digits, digits: limit)
        }
        known["[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+"
            + spaces] = WordPattern(family: .deepseek)
        known["[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+"
            + spaces] = WordPattern(family: .deepseek)
        return known
    }()

    /// The matcher for a pattern, or nil where it needs the engine.
    static func recognise(_ pattern: String) -> WordPattern? { known[pattern] }
}
