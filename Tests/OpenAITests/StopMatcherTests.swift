import OpenAI
import Testing

@Suite struct StopMatcherTests {
    /// Feeds `text` cut at the given places.
    static func run(_ pieces: [[UInt8]], _ stops: [String], include: Bool = false, armedFrom: Int = 0) -> Outcome {
        var matcher = StopMatcher(stops: stops, includeInOutput: include)
        var output: [UInt8] = []
        for (index, piece) in pieces.enumerated() {
            if let stop = matcher.feed(piece, armed: index >= armedFrom, into: &output) {
                return Outcome(String(decoding: output, as: UTF8.self), stop)
            }
        }
        matcher.finish(into: &output)
        return Outcome(String(decoding: output, as: UTF8.self), nil)
    }

    @Test func everySplitPoint() {
        let text = Array("ab<END>cd é ENDS".utf8)
        for stops in [["<END>"], ["END", "<END>"], ["nothing", "é E"], ["D>c", "<E"], ["zzz"], ["d é ENDSx"]] {
            for include in [false, true] {
                let whole = Self.run([text], stops, include: include)
                for first in 0...text.count {
                    for second in first...text.count {
                        let pieces = [Array(text[..<first]), Array(text[first..<second]), Array(text[second...])]
                        #expect(Self.run(pieces, stops, include: include) == whole, "\(stops) \(first) \(second)")
                    }
                }
                #expect(Self.run(text.map { [$0] }, stops, include: include) == whole)
            }
        }
    }

    @Test func outcomes() {
        func check(_ text: String, _ stops: [String], include: Bool = false, _ expected: String, _ stop: String?) {
            let got = Self.run([Array(text.utf8)], stops, include: include)
            #expect(got.text == expected && got.stop == stop, "\(text) \(stops) → \(got)")
        }
        check("one two", ["two"], "one ", "two")
        check("one two", ["two"], include: true, "one two", "two")
        check("one two", ["three"], "one two", nil)
        // The one that ends first; of those that end together the longest.
        check("abcd", ["bcd", "bc"], "a", "bc")
        check("abcd", ["c", "bc"], "a", "bc")
        check("aaab", ["aab"], "a", "aab")
        check("", ["x"], "", nil)
    }

    @Test func holdsBackOnlyWhatMayMatch() {
        var matcher = StopMatcher(stops: ["stop"], includeInOutput: false)
        var output: [UInt8] = []
        #expect(matcher.feed(Array("a st".utf8), into: &output) == nil)
        #expect(String(decoding: output, as: UTF8.self) == "a ")
        #expect(matcher.heldBack == 2)
        #expect(matcher.feed(Array("ar".utf8), into: &output) == nil)
        #expect(String(decoding: output, as: UTF8.self) == "a star")
        var keeping = StopMatcher(stops: ["stop"], includeInOutput: true)
        output = []
        #expect(keeping.feed(Array("a st".utf8), into: &output) == nil)
        #expect(String(decoding: output, as: UTF8.self) == "a st")
        #expect(keeping.feed(Array("op!".utf8), into: &output) == "stop")
        #expect(String(decoding: output, as: UTF8.self) == "a stop")
    }

    @Test func unarmedMatchesDoNotCount() {
        let pieces = ["x stop ", "and sto", "p y"].map { Array($0.utf8) }
        #expect(Self.run(pieces, ["stop"], armedFrom: 1) == Outcome("x stop and ", "stop"))
        #expect(Self.run(pieces, ["stop"], armedFrom: 3) == Outcome("x stop and stop y", nil))
        // Begun before, finished after: counts.
        #expect(Self.run(pieces, ["stop"], armedFrom: 2) == Outcome("x stop and ", "stop"))
    }

    @Test func randomTextsAgainstSearch() {
        var random = SplitMix(state: 7)
        for _ in 0..<3000 {
            let text = (0..<Int.random(in: 0...30, using: &random)).map { _ in UInt8(ascii: "a") + UInt8.random(in: 0...2, using: &random) }
            let stops = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                String(decoding: (0..<Int.random(in: 1...4, using: &random)).map { _ in UInt8(ascii: "a") + UInt8.random(in: 0...2, using: &random) }, as: UTF8.self)
            }
            var pieces: [[UInt8]] = []
            var rest = text[...]
            while !rest.isEmpty {
                let count = Int.random(in: 1...4, using: &random)
                pieces.append(Array(rest.prefix(count)))
                rest = rest.dropFirst(count)
            }
            #expect(Self.run(pieces, stops) == Self.search(text, stops), "\(String(decoding: text, as: UTF8.self)) \(stops)")
        }
    }

    static func search(_ text: [UInt8], _ stops: [String]) -> Outcome {
        for end in 0...text.count {
            let found = stops.filter { text[..<end].reversed().starts(with: $0.utf8.reversed()) }.max { $0.utf8.count < $1.utf8.count }
            if let found { return Outcome(String(decoding: text[..<(end - found.utf8.count)], as: UTF8.self), found) }
        }
        return Outcome(String(decoding: text, as: UTF8.self), nil)
    }
}

struct Outcome: Equatable {
    let text: String, stop: String?

    init(_ text: String, _ stop: String?) {
        self.text = text
        self.stop = stop
    }
}

/// Steele, Lea and Flood's splittable generator.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
