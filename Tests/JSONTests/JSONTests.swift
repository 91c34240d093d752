import JSON
import Testing

@Suite struct JSONReaderTests {
    @Test func keepsOrderAndNumberKinds() throws {
        let value = try JSONValue(parsing: #"{"b":1,"a":1.0,"c":[true,false,null,-0,123456789012345678901234567890,1e3,9223372036854775807]}"#)
        let object = try #require(value.object)
        #expect(object.members.map(\.key) == ["b", "a", "c"])
        #expect(object["b"] == .int(1))
        #expect(object["a"] == .double(1))
        #expect(object["c"] == [true, false, nil, 0, .bigInt("123456789012345678901234567890"), 1000.0, 9_223_372_036_854_775_807])
        #expect(value.text == #"{"b":1,"a":1.0,"c":[true,false,null,0,123456789012345678901234567890,1000.0,9223372036854775807]}"#)
    }

    @Test func strings() throws {
        #expect(try JSONValue(parsing: #""a\u0041\n\"\\\/\ud83d\ude00\u0000""#).string == "aA\n\"\\/😀\0")
        #expect(try JSONValue(parsing: #""\ud800x""#).string == "\u{FFFD}x")
        #expect(try JSONValue(parsing: #""\ud800\u0041""#).string == "\u{FFFD}A")
        #expect(JSONValue.string("tab\t\u{1}\u{7f}é").text == "\"tab\\t\\u0001\\u007fé\"")
    }

    @Test func canonicallyEquivalentKeysStayApart() throws {
        var text = "{"
        for index in 0..<40 { text += "\"k\(index)\":\(index)," }
        text += "\"\u{E9}\":1,\"e\u{301}\":2}"
        let object = try #require(try JSONValue(parsing: text).object)
        #expect(object.count == 42)
        #expect(object["\u{E9}"] == 1)
        #expect(object["e\u{301}"] == 2)
        #expect(object["k39"] == 39)
    }

    @Test func repeatedKeyTakesLastValue() throws {
        let object = try #require(try JSONValue(parsing: #"{"a":1,"b":2,"a":3}"#).object)
        #expect(object.members.map(\.key) == ["a", "b"])
        #expect(object["a"] == 3)
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\":}", "{\"a\" 1}", "01", "1.", "1e", "-", "tru", "nul", "\"\\x\"", "\"\\u12", "\"abc", "\"a\nb\"", "[1 2]",
        "1 2", "NaN", "{a:1}", "'a'", "\u{1}",
    ])
    func malformedTextIsAnError(_ text: String) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
    }

    @Test func depthIsLimited() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: JSONError.self) { try JSONValue(parsing: deep) }
    }

    @Test func invalidUTF8IsAnError() {
        #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22, 0xFF, 0x22]) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22, 0x5C, 0x6E, 0xC3, 0x22]) }
    }

    @Test func nonFiniteOnlyOnRequest() throws {
        let value = try JSONValue(parsing: "[NaN,-Infinity]", options: .init(allowsNonFinite: true))
        #expect(value.array?[0].double?.isNaN == true)
        #expect(value.array?[1] == .double(-.infinity))
    }

    @Test func errorsTellThePlace() {
        let error = #expect(throws: JSONError.self) { try JSONValue(parsing: "{\n  \"a\": ?\n}") }
        #expect(error?.line == 2)
        #expect(error?.column == 8)
    }

    /// Random edits of a valid text: the reader must answer or throw, never trap.
    @Test func mutatedTextNeverTraps() {
        let seedText = Array(#"{"a":[1,2.5e-3,"x\u00e9\ud83d\ude00",{"b":null,"c":[true,false]}],"d":-12345678901234567890}"#.utf8)
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var text = seedText
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let index = Int.random(in: 0..<text.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: text[index] = UInt8.random(in: 0...255, using: &generator)
                case 1: text.remove(at: index)
                default: text.insert(text[Int.random(in: 0..<text.count, using: &generator)], at: index)
                }
            }
            if let value = try? JSONValue(parsing: text) {
                #expect(throws: Never.self) { try JSONValue(parsing: value.text) }
            }
        }
    }
}
