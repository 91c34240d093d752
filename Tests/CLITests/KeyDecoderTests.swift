import CLI
import Testing

@Suite struct KeyDecoderTests {
    private func keys(_ bytes: some Sequence<UInt8>) -> [Key] {
        var decoder = KeyDecoder()
        return bytes.compactMap { decoder.feed($0) }
    }

    @Test func decodesCharactersOfAllLengths() {
        #expect(keys("aé€🙂".utf8) == [.character("a"), .character("é"), .character("€"), .character("🙂")])
    }

    @Test func dropsBrokenUTF8AndGoesOn() {
        #expect(keys([0xC3, 0x41, 0xFF, 0x80, 0x42]) == [.character("A"), .character("B")])
        // Overlong, surrogate and C1 control.
        #expect(keys([0xE0, 0x80, 0xAF, 0xED, 0xA0, 0x80, 0xC2, 0x9B]) == [])
    }

    @Test func decodesKeysOfSeveralTerminals() {
        #expect(keys("\u{1B}[A\u{1B}OA\u{1B}[H\u{1B}[1~\u{1B}[4~\u{1B}[3~\u{1B}[1;5D".utf8)
            == [.up, .up, .home, .home, .end, .delete, .wordLeft])
        #expect(keys([0x01, 0x04, 0x7F, 0x0D]) == [.control("a"), .control("d"), .backspace, .enter])
    }

    @Test func ignoresUnknownSequences() {
        #expect(keys("\u{1B}[15~x\u{1B}[38;5;1;2;3;4;5;6;7;8;9mz".utf8).last == .character("z"))
        #expect(keys("\u{1B}[15~x".utf8) == [.character("x")])
    }

    @Test func keepsLineBreaksOfPastes() {
        #expect(keys("\u{1B}[200~a\r\nb\rc\u{1B}[Ad\u{1B}[201~!".utf8) == [.paste("a\nb\nc\u{1B}[Ad"), .character("!")])
    }
}
