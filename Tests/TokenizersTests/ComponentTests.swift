import JSON
import Testing
import Tokenizers

/// Every kind of component against the reference library (Scripts/make_tokenizer_component_cases.py).
@Suite struct ComponentTests {
    @Test func everyKindAgrees() throws {
        let golden = try Fixtures.json("\(Fixtures.committed)/components.json.gz")
        let groups = try #require(golden["groups"]?.array)
        #expect(groups.count > 150)
        for group in groups {
            let name = group["name"]?.string ?? ""
            let tokenizer = try Fixtures.load(try #require(group["tokenizer"]))
            for row in group["rows"]?.array ?? [] {
                let text = row["text"]?.string ?? ""
                let encoding = try tokenizer.encodeWithOffsets(text, addSpecialTokens: true)
                #expect(encoding.ids == Fixtures.ids(row["ids"]), "\(name) \(text.debugDescription)")
                let plain = try tokenizer.encode(text, addSpecialTokens: true)
                #expect(plain == Fixtures.ids(row["ids"]), "without offsets: \(name) \(text.debugDescription)")
                #expect(encoding.typeIDs == Fixtures.ids(row["types"]), "types: \(name) \(text.debugDescription)")
                let offsets = (row["offsets"]?.array ?? []).map { [$0.array?[0].int ?? -1, $0.array?[1].int ?? -1] }
                #expect(encoding.offsets.map { [$0.lowerBound, $0.upperBound] } == offsets, "offsets: \(name) \(text.debugDescription)")
            }
            for row in group["decodes"]?.array ?? [] {
                let ids = Fixtures.ids(row["ids"]), expected = row["text"]?.string ?? ""
                #expect(tokenizer.decode(ids, skipSpecialTokens: false).hasSameBytes(as: expected), "\(name) \(ids)")
            }
            for row in group["pairs"]?.array ?? [] {
                let encoding = try tokenizer.encodePair(row["a"]?.string ?? "", row["b"]?.string ?? "", addSpecialTokens: true)
                #expect(encoding.ids == Fixtures.ids(row["ids"]), "pair: \(name)")
                #expect(encoding.typeIDs == Fixtures.ids(row["types"]), "pair types: \(name)")
            }
        }
    }

    @Test func sentencePieceModelsAgree() throws {
        let golden = try Fixtures.json("\(Fixtures.committed)/components.json.gz")
        let models = try #require(golden["sentencepiece"]?.array)
        #expect(models.count == 8)
        for model in models {
            let bytes = decodeBase64(model["model"]?.string ?? "")
            let tokenizer = try bytes.withUnsafeBufferPointer { try Tokenizer(sentencePiece: $0, addBOS: false, addEOS: false) }
            for row in model["rows"]?.array ?? [] {
                let text = row["text"]?.string ?? ""
                let ids = try tokenizer.encode(text, addSpecialTokens: true)
                #expect(ids == Fixtures.ids(row["ids"]), "\(model["name"]?.string ?? "") \(text.debugDescription)")
                let tracked = try tokenizer.encodeWithOffsets(text, addSpecialTokens: true)
                #expect(tracked.ids == ids)
            }
        }
    }

    private func decodeBase64(_ text: String) -> [UInt8] {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var output: [UInt8] = [], bits = 0, count = 0
        for byte in text.utf8 {
            guard let value = alphabet.firstIndex(of: byte) else { continue }
            bits = (bits << 6 | value) & 0xFFFFFF
            count += 6
            if count >= 8 {
                count -= 8
                output.append(UInt8(bits >> count & 0xFF))
            }
        }
        return output
    }
}
