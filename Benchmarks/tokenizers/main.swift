import Tokenizers

/// `tokenizer-bench speed TEXT FOLDER…` prints load time and MB/s of encoding and decoding; `tokenizer-bench verify FOLDER…` compares
/// with expected values; `tokenizer-bench hostile FOLDER` times texts made to be slow; `tokenizer-bench kept FOLDER…` compares loading with loading
/// from kept tables.
let arguments = CommandLine.arguments

func seconds(_ body: () throws -> Void) rethrows -> Double {
    let clock = ContinuousClock()
    let time = try clock.measure(body)
    return Double(time.components.seconds) + Double(time.components.attoseconds) * 1e-18
}

/// Two decimals, without Foundation.
func shown(_ value: Double) -> String {
    let hundredths = Int((value * 100).rounded())
    let fraction = hundredths % 100
    return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)"
}

/// Documents of about four thousand bytes, cut at line ends: the size of a prompt.
func documents(_ path: String) throws -> [String] {
    var documents: [String] = [], current = ""
    for line in try TokenizerGolden.readText(path).split(separator: "\n", omittingEmptySubsequences: false) {
        current += line
        current += "\n"
        if current.utf8.count >= 4096 {
            documents.append(current)
            current = ""
        }
    }
    if !current.isEmpty { documents.append(current) }
    return documents
}

func speed(_ text: String, _ folders: [String]) throws {
    let texts = try documents(text)
    let size = Double(texts.reduce(0) { $0 + $1.utf8.count }) / 1e6
    for folder in folders {
        var loaded: Tokenizer?
        var load = Double.infinity
        for _ in 0..<3 { load = min(load, try seconds { loaded = try Tokenizer(contentsOf: folder) }) }
        guard let tokenizer = loaded else { continue }
        var ids: [[Int32]] = [], encode = Double.infinity, decode = Double.infinity, offsets = Double.infinity
        for _ in 0..<3 { encode = min(encode, try seconds { ids = try texts.map { try tokenizer.encode($0, addSpecialTokens: false) } }) }
        offsets = min(offsets, try seconds { for text in texts { _ = try tokenizer.encodeWithOffsets(text, addSpecialTokens: false) } })
        for _ in 0..<3 { decode = min(decode, seconds { for list in ids { _ = tokenizer.decode(list, skipSpecialTokens: false) } }) }
        let count = ids.reduce(0) { $0 + $1.count }
        let name = folder.split(separator: "/").last ?? ""
        print("\(name) load \(shown(load * 1000)) encode \(shown(size / encode)) offsets \(shown(size / offsets)) decode \(shown(size / decode)) tokens \(count)")
    }
}

/// Median of nine loads from the file, and of nine from its tables.
func kept(_ folders: [String]) throws {
    func median(_ body: () throws -> Void) rethrows -> Double {
        var times: [Double] = []
        for _ in 0..<9 { times.append(try seconds(body)) }
        return times.sorted()[4] * 1000
    }
    for folder in folders {
        let cache = TokenizerCache(folders: ["\(folder)/tables"])
        _ = try Tokenizer(contentsOf: folder, cache: cache)
        cache.write()
        let read = try median { _ = try Tokenizer(contentsOf: folder) }
        let mapped = try median { _ = try Tokenizer(contentsOf: folder, cache: cache) }
        let name = folder.split(separator: "/").last ?? ""
        print("\(name) load \(shown(read)) ms, from kept tables \(shown(mapped)) ms\(cache.hitCount < 9 ? " (not kept)" : "")")
    }
}

func hostile(_ folder: String) throws {
    let tokenizer = try Tokenizer(contentsOf: folder)
    let million = 1_000_000
    let texts: [(String, String)] = [
        ("letter", String(repeating: "a", count: million)), ("spaces", String(repeating: " ", count: million)),
        ("newlines", String(repeating: "\n", count: million)), ("digits", String(repeating: "7", count: million)),
        ("emoji", String(repeating: "😀", count: million / 4)), ("family", String(repeating: "👩‍👩‍👧‍👦", count: million / 25)),
        ("han", String(repeating: "漢字", count: million / 6)), ("apostrophes", String(repeating: "'", count: million)),
        ("marks", "a" + String(repeating: "\u{301}", count: million / 2)), ("upper", String(repeating: "A\u{301}", count: million / 3)),
        ("hangul", String(repeating: "\u{1112}\u{1161}\u{11AB}", count: million / 9)), ("mixed", String(repeating: "x ", count: million / 2)),
    ]
    for (name, text) in texts {
        var count = 0
        let time = try seconds { count = try tokenizer.encode(text, addSpecialTokens: false).count }
        let tracked = try seconds { _ = try tokenizer.encodeWithOffsets(text, addSpecialTokens: false) }
        print("\(name) \(shown(time)) s, with offsets \(shown(tracked)) s, \(count) tokens")
    }
}

switch arguments.dropFirst().first {
case "speed": try speed(arguments[2], Array(arguments[3...]))
case "hostile": try hostile(arguments[2])
case "kept": try kept(Array(arguments[2...]))
case "verify":
    for folder in arguments[2...] {
        let report = try TokenizerGolden.verify(folder)
        print(report.isExact ? "ok  " : "FAIL", report)
        for line in report.mismatches { print("     ", line) }
    }
default: print("tokenizer-bench speed TEXT FOLDER... | kept FOLDER... | verify FOLDER... | hostile FOLDER")
}
