/// Classes of a Unicode scalar, as bits, measured on the reference library (see `ScalarClassData`).
struct ScalarClass: OptionSet, Sendable {
    let rawValue: UInt16

    /// `\p{L}`, `\p{N}`, `\s`, `\p{Lu}` or `\p{Lt}`, `\p{Ll}`, `\p{M}`, `\p{P}`, `\p{S}`, `\p{Han}` of the pattern engine.
    static let letter = ScalarClass(rawValue: 1), number = ScalarClass(rawValue: 2), space = ScalarClass(rawValue: 4)
    static let upper = ScalarClass(rawValue: 8), lower = ScalarClass(rawValue: 16), mark = ScalarClass(rawValue: 32)
    static let punctuation = ScalarClass(rawValue: 64), symbol = ScalarClass(rawValue: 128), han = ScalarClass(rawValue: 256)
    /// What the fixed pre-tokenizers and normalizers test for.
    static let whiteSpace = ScalarClass(rawValue: 1 << 9), bertPunctuation = ScalarClass(rawValue: 1 << 10)
    static let numeric = ScalarClass(rawValue: 1 << 11), other = ScalarClass(rawValue: 1 << 12)
    static let nonspacingMark = ScalarClass(rawValue: 1 << 13), combiningMark = ScalarClass(rawValue: 1 << 14)
    /// `\w` of the library's second pattern engine.
    static let word = ScalarClass(rawValue: 1 << 15)

    @inline(__always) init(rawValue: UInt16) { self.rawValue = rawValue }

    @inline(__always) static func of(_ scalar: UInt32) -> ScalarClass { ScalarClass(rawValue: table.base[Int(scalar)]) }
    @inline(__always) func has(_ classes: ScalarClass) -> Bool { rawValue & classes.rawValue != 0 }

    /// One entry for each scalar: 2.2 MB of which a text touches a few pages.
    static let table: Storage<UInt16> = {
        let table = Storage<UInt16>(repeating: 0, count: 0x110000)
        let classes = [
            ScalarClassData.letter, ScalarClassData.number, ScalarClassData.space, ScalarClassData.upper, ScalarClassData.lower,
            ScalarClassData.mark, ScalarClassData.punctuation, ScalarClassData.symbol, ScalarClassData.han, ScalarClassData.whiteSpace,
            ScalarClassData.bertPunctuation, ScalarClassData.numeric, ScalarClassData.other, ScalarClassData.nonspacingMark,
            ScalarClassData.combiningMark, ScalarClassData.word,
        ]
        for (bit, data) in classes.enumerated() {
            var reader = DataReader(data), position = 0, inside = false
            while let length = reader.number() {
                if inside { for scalar in position..<min(position + length, 0x110000) { table.base[scalar] |= 1 << bit } }
                position += length
                inside.toggle()
            }
        }
        return table
    }()
}

/// Reads the numbers in base 36 of a generated table.
struct DataReader {
    private let data: StaticString
    private var index = 0
    /// The byte that ended the last number: a space, a mark, or 0 at the end.
    private(set) var stop: UInt8 = 0

    init(_ data: StaticString) { self.data = data }

    mutating func number() -> Int? {
        let bytes = data.utf8Start, count = data.utf8CodeUnitCount
        while index < count, bytes[index] == UInt8(ascii: " ") { index += 1 }
        guard index < count else { return nil }
        var value = 0
        while index < count {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value &* 36 &+ Int(byte &- 48)
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = value &* 36 &+ Int(byte &- 87)
            default:
                stop = byte
                index += 1
                return value
            }
            index += 1
        }
        stop = 0
        return value
    }
}

/// Scripts as the `UnicodeScripts` pre-tokenizer sees them.
enum ScriptTable {
    private static let runs: (starts: [UInt32], scripts: [UInt8]) = {
        var starts: [UInt32] = [], scripts: [UInt8] = [], position = 0
        var reader = DataReader(ScriptData.scripts)
        while let step = reader.number(), let script = reader.number() {
            position += step
            starts.append(UInt32(position))
            scripts.append(UInt8(truncatingIfNeeded: script))
        }
        return (starts, scripts)
    }()

    /// A number for the scalar's script; 0 joins any neighbour.
    static func script(of scalar: UInt32) -> UInt8 {
        var low = 0, high = runs.starts.count
        while low < high {
            let middle = (low + high) / 2
            if runs.starts[middle] <= scalar { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? 0 : runs.scripts[low - 1]
    }
}
