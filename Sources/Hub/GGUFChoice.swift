/// One model among the GGUF files of a repository: a file, or all parts of a split one.
package struct GGUFChoice: Sendable, Equatable {
    /// Paths in the order of the parts.
    package let parts: [String]
    /// How many parts the names announce; 1 for a whole file.
    package let partCount: Int
    /// The quantisation as the name gives it (`Q4_K_M`), or else the name without folder and ending.
    package let label: String
    /// File name without `.gguf` and part number.
    package let stem: String

    /// Taken where the user named none, the first that is there: small without hurting, then larger, then smaller.
    static let usualOrder = [
        "Q4_K_M", "Q4_K_S", "Q4_0", "Q4_1", "Q5_K_M", "Q5_K_S", "Q5_0", "Q5_1", "Q6_K", "Q8_0", "MXFP4", "IQ4_NL", "IQ4_XS",
        "Q3_K_L", "Q3_K_M", "BF16", "F16", "FP16", "F32", "FP32",
    ]

    /// Groups parts; leaves out projectors of vision models and importance matrices.
    package static func models(in paths: [String]) -> [GGUFChoice] {
        var groups: [String: [(path: String, part: Int, count: Int)]] = [:]
        for path in paths where path.lowercased().hasSuffix(".gguf") {
            let file = path.split(separator: "/").last.map(String.init)?.lowercased() ?? ""
            if file.contains("mmproj") || file.contains("imatrix") { continue }
            let (key, part, count) = splitName(String(path.dropLast(5)))
            groups[key, default: []].append((path, part, count))
        }
        return groups.map { key, members in
            let stem = key.split(separator: "/").last.map(String.init) ?? key
            return GGUFChoice(
                parts: members.sorted { ($0.part, $0.path) < ($1.part, $1.path) }.map(\.path), partCount: members[0].count,
                label: quantisation(stem) ?? stem, stem: stem)
        }.sorted { $0.parts[0] < $1.parts[0] }
    }

    /// Part numbers that the names announce but the list lacks, as file names.
    package var missingParts: [String] {
        guard partCount > 1, parts.count < partCount else { return [] }
        let have = Set(parts)
        guard let first = parts.first else { return [] }
        let key = Self.splitName(String(first.dropLast(5))).key
        return (1...partCount).map { "\(key)-\(Self.fiveDigits($0))-of-\(Self.fiveDigits(partCount)).gguf" }.filter { !have.contains($0) }
    }

    /// The one model that the user's word means: a path or file name, a quantisation or folder, a pattern, a piece of the name; the
    /// first of these that matches at all decides.
    /// - Returns: nil if nothing matches.
    static func pick(_ choice: String, from models: [GGUFChoice], name: String) throws(HubError) -> GGUFChoice? {
        let wanted = choice.lowercased()
        let bare = wanted.hasSuffix(".gguf") ? String(wanted.dropLast(5)) : wanted
        let tests: [(GGUFChoice) -> Bool] = [
            { $0.parts.contains { $0.lowercased() == wanted || $0.lowercased() == bare + ".gguf" } },
            { $0.stem.lowercased() == bare || $0.parts.contains { $0.lowercased().hasSuffix("/" + wanted) } },
            { $0.label.lowercased() == bare },
            { model in ["-", ".", "_"].contains { model.stem.lowercased().hasSuffix($0 + bare) } },
            { $0.parts[0].lowercased().split(separator: "/").dropLast().contains { $0 == bare } },
            { $0.parts.contains { Glob.matches($0.lowercased(), wanted) } },
            { $0.stem.lowercased().contains(bare) },
        ]
        for test in tests {
            let matches = models.filter(test)
            if matches.count == 1 { return try whole(matches[0], name) }
            if matches.count > 1 { throw .ambiguousChoice(repo: name, choice: choice, matches: matches.map { $0.parts[0] }) }
        }
        return nil
    }

    static func usual(of models: [GGUFChoice], name: String) throws(HubError) -> GGUFChoice {
        if models.count == 1 { return try whole(models[0], name) }
        for label in usualOrder {
            let matches = models.filter { $0.label.uppercased() == label }
            let shortest = matches.min { ($0.stem.utf8.count, $0.stem) < ($1.stem.utf8.count, $1.stem) }
            if let shortest { return try whole(shortest, name) }
        }
        throw .ambiguousChoice(repo: name, choice: "", matches: models.map(\.label))
    }

    private static func whole(_ model: GGUFChoice, _ name: String) throws(HubError) -> GGUFChoice {
        guard let missing = model.missingParts.first else { return model }
        throw .fileNotFound(repo: name, revision: "this revision", file: missing)
    }

    /// `x-00002-of-00003` → (`x`, 2, 3); anything else is whole.
    private static func splitName(_ path: String) -> (key: String, part: Int, count: Int) {
        let pieces = path.split(separator: "-", omittingEmptySubsequences: false)
        guard pieces.count > 3, pieces[pieces.count - 2] == "of", let part = number(pieces[pieces.count - 3]),
            let count = number(pieces[pieces.count - 1]), (1...count).contains(part), count < 10_000
        else { return (path, 1, 1) }
        return (pieces.dropLast(3).joined(separator: "-"), part, count)
    }

    private static func number(_ digits: Substring) -> Int? {
        digits.utf8.count == 5 && digits.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(digits).flatMap { $0 > 0 ? $0 : nil } : nil
    }

    private static func fiveDigits(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 5 - digits.utf8.count)) + digits
    }

    /// The last piece of a name that reads as a quantisation: `Q4_K_M`, `IQ2_XXS`, `BF16`, with unsloth's `UD-` before it.
    private static func quantisation(_ stem: String) -> String? {
        let pieces = stem.split { $0 == "-" || $0 == "." }
        guard let last = pieces.last else { return nil }
        let upper = last.uppercased()
        let isFloat = ["F16", "BF16", "F32", "FP16", "FP32", "MXFP4", "MXFP4_MOE"].contains(upper)
        let digits = upper.hasPrefix("IQ") || upper.hasPrefix("TQ") ? upper.dropFirst(2) : upper.hasPrefix("Q") ? upper.dropFirst(1) : ""
        guard isFloat || digits.first.map({ $0.isASCII && $0.isNumber }) == true else { return nil }
        return pieces.count > 1 && pieces[pieces.count - 2].uppercased() == "UD" ? "UD-\(last)" : String(last)
    }
}
