internal import JSON

/// Checks a tokenizer folder against the expected values beside it (`cases.json` or `cases.json.gz`): ids with and without special
/// tokens, decoded text, byte offsets, streamed text, decodes of broken UTF-8, and pairs.
package enum TokenizerGolden {
    /// How many comparisons of each kind held.
    package struct Count: Sendable, Equatable {
        package var passed = 0, total = 0
    }

    package struct Report: Sendable, CustomStringConvertible {
        package var name = ""
        package var counts: [(kind: String, count: Count)] = []
        /// The first few differences, in words.
        package var mismatches: [String] = []

        package var isExact: Bool { counts.allSatisfy { $0.count.passed == $0.count.total } && total > 0 }
        package var total: Int { counts.reduce(0) { $0 + $1.count.total } }

        package var description: String {
            "\(name): " + counts.map { "\($0.kind) \($0.count.passed)/\($0.count.total)" }.joined(separator: ", ")
        }

        mutating func record(_ kind: String, _ passed: Bool, _ message: @autoclosure () -> String) {
            let place: Int
            if let found = counts.firstIndex(where: { $0.kind == kind }) {
                place = found
            } else {
                place = counts.count
                counts.append((kind, Count()))
            }
            counts[place].count.total += 1
            if passed { counts[place].count.passed += 1 } else if mismatches.count < 12 { mismatches.append("\(name) \(kind): \(message())") }
        }
    }

    /// - Parameters:
    ///   - folder: holds the tokenizer and the cases.
    ///   - cases: another file of cases for the same tokenizer.
    ///   - cache: where its tables may be.
    package static func verify(_ folder: String, cases: String? = nil, cache: TokenizerCache? = nil) throws(TokenizerError) -> Report {
        let tokenizer = try Tokenizer(contentsOf: folder, cache: cache)
        let file = cases ?? (FileBytes.exists("\(folder)/cases.json") ? "\(folder)/cases.json" : "\(folder)/cases.json.gz")
        let golden = try FileBytes.withBytes(of: file) { bytes throws(TokenizerError) -> JSONValue in
            do { return try JSONValue(parsing: bytes) } catch { throw .malformed(part: file, reason: "\(error)") }
        }
        var report = Report(name: golden["name"]?.string ?? folder)
        if let size = golden["vocab_size"]?.int { report.record("size", tokenizer.tokenCount == size, "\(tokenizer.tokenCount), expected \(size)") }
        for entry in golden["cases"]?.array ?? [] { try check(entry, tokenizer, &report) }
        for entry in golden["incremental"]?.array ?? [] { checkIncrements(entry, tokenizer, &report) }
        for entry in golden["lossy"]?.array ?? [] {
            let text = tokenizer.decode(ids(entry["ids"]), skipSpecialTokens: false)
            report.record("lossy", same(text, entry["decoded"]), "\(entry["bytes"]?.text ?? "") gives \(text.debugDescription)")
        }
        for entry in golden["pairs"]?.array ?? [] {
            let encoding = try tokenizer.encodePair(entry["a"]?.string ?? "", entry["b"]?.string ?? "", addSpecialTokens: true)
            report.record(
                "pairs", encoding.ids == ids(entry["ids"]) && encoding.typeIDs == ids(entry["type_ids"]),
                "\(entry.text.prefix(120)) gives \(encoding.ids) \(encoding.typeIDs)")
        }
        return report
    }

    private static func ids(_ value: JSONValue?) -> [Int32] { (value?.array ?? []).map { Int32(truncatingIfNeeded: $0.int ?? -1) } }

    /// Equal bytes: canonically equivalent is not enough.
    private static func same(_ text: String, _ expected: JSONValue?) -> Bool { expected?.string.map { $0.hasSameBytes(as: text) } ?? false }

    private static func check(_ entry: JSONValue, _ tokenizer: Tokenizer, _ report: inout Report) throws(TokenizerError) {
        let text = entry["text"]?.string ?? "", shown = text.prefix(60).debugDescription
        let expected = ids(entry["ids"]), special = entry["ids_special"].map { ids($0) } ?? expected
        let plain = try tokenizer.encode(text, addSpecialTokens: false)
        report.record("ids", plain == expected, "\(shown) gives \(difference(plain, expected))")
        let framed = try tokenizer.encode(text, addSpecialTokens: true)
        report.record("ids_special", framed == special, "\(shown) gives \(difference(framed, special))")
        let decoded = tokenizer.decode(special, skipSpecialTokens: false)
        report.record("decoded", same(decoded, entry["decoded"]), "\(shown) gives \(decoded.prefix(80).debugDescription)")
        let skipped = tokenizer.decode(special, skipSpecialTokens: true)
        report.record("decoded_skip", same(skipped, entry["decoded_skip"]), "\(shown) gives \(skipped.prefix(80).debugDescription)")
        let tracked = try tokenizer.encodeWithOffsets(text, addSpecialTokens: false)
        report.record("ids_tracked", tracked.ids == expected, "\(shown) gives \(difference(tracked.ids, expected))")
        if let offsets = entry["offsets"]?.array {
            let wanted = offsets.map { pair in
                let start = pair.array?.first?.int ?? 0
                return start..<max(start, pair.array?.last?.int ?? 0)
            }
            let place = zip(tracked.offsets, wanted).enumerated().first { $0.element.0 != $0.element.1 }
            report.record("offsets", tracked.offsets == wanted, "\(shown) differs at token \(place?.offset ?? -1): \(place.map { "\($0.element)" } ?? "count")")
        }
    }

    private static func difference(_ found: [Int32], _ expected: [Int32]) -> String {
        let place = zip(found, expected).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? min(found.count, expected.count)
        return "\(found.count) ids for \(expected.count); from \(place): \(found.dropFirst(place).prefix(8)) for \(expected.dropFirst(place).prefix(8))"
    }

    private static func checkIncrements(_ entry: JSONValue, _ tokenizer: Tokenizer, _ report: inout Report) {
        var detokenizer = tokenizer.makeDetokenizer(prefix: ids(entry["prefix_ids"]), skipSpecialTokens: true)
        var parts = ids(entry["ids"]).map { detokenizer.append($0) }
        if let last = parts.popLast() { parts.append(last + detokenizer.finish()) }
        let expected = (entry["increments"]?.array ?? []).map { $0.string ?? "" }
        let isSame = parts.count == expected.count && zip(parts, expected).allSatisfy { $0.hasSameBytes(as: $1) }
        report.record("increments", isSame, "\(entry["text"]?.string?.prefix(40).debugDescription ?? "") gives \(parts.prefix(20))")
        report.record("streamed", same(parts.joined(), entry["text"]), "\(entry["text"]?.string?.prefix(40).debugDescription ?? "")")
    }
}

extension TokenizerGolden {
    /// A text file, for benchmarks.
    package static func readText(_ path: String) throws(TokenizerError) -> String {
        try FileBytes.withBytes(of: path) { bytes throws(TokenizerError) -> String in String(decoding: bytes, as: UTF8.self) }
    }
}
