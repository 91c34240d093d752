import CKernels
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#endif

/// Random blocks of each GGUF type with what the gguf package makes of them (`Tests/Fixtures/gguf-types/make.py`).
struct GGUFFixture {
    let type: nt_type, bytes: [UInt8], values: [Float]

    static let all: [GGUFFixture] = {
        let tests = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
        guard let file = fopen("\(tests)/Fixtures/gguf-types/blocks.bin", "rb") else { return [] }
        defer { fclose(file) }
        var all: [GGUFFixture] = [], head: [UInt32] = [0, 0, 0]
        while fread(&head, 4, 3, file) == 3 {
            var bytes = [UInt8](repeating: 0, count: Int(head[1])), values = [Float](repeating: 0, count: Int(head[2]))
            guard fread(&bytes, 1, bytes.count, file) == bytes.count, fread(&values, 4, values.count, file) == values.count else { break }
            all.append(GGUFFixture(type: nt_type(head[0]), bytes: bytes, values: values))
        }
        return all
    }()

    /// Blocks of the fixture in random order.
    static func randomRow(_ type: nt_type, _ k: Int, _ random: inout Random) -> [UInt8] {
        guard let fixture = all.first(where: { $0.type == type }) else { return [] }
        let size = nt_block_bytes(type), blocks = fixture.bytes.count / size
        return (0..<k / nt_block_elements(type)).flatMap { _ in
            let block = Int(random.byte()) % blocks
            return fixture.bytes[(block * size)..<((block + 1) * size)]
        }
    }
}

extension Kernels.Dequantize {
    @Test func everyTypeGivesTheBitsOfTheReferencePackage() {
        #expect(GGUFFixture.all.count == 27)
        for fixture in GGUFFixture.all {
            let place: Comment = "type \(fixture.type.rawValue)", k = fixture.values.count
            var out = [Float](repeating: .nan, count: k)
            #expect(nt_row_bytes(fixture.type, k) == fixture.bytes.count, place)
            let ok = ([0] + fixture.bytes).withUnsafeBytes { nt_dequantize_row(fixture.type, $0.baseAddress! + 1, &out, k) }
            #expect(ok && sameBits(out, fixture.values), place)
        }
    }

    @Test func everyTypeIsLookedUp() {
        for fixture in GGUFFixture.all {
            let k = nt_block_elements(fixture.type), rows = fixture.values.count / k
            var out = [Float](repeating: .nan, count: 2 * k)
            #expect(nt_gather_rows(fixture.type, fixture.bytes, rows, k, [Int32(rows - 1), 0], 2, &out, k))
            #expect(sameBits(out, Array(fixture.values.suffix(k) + fixture.values.prefix(k))), "type \(fixture.type.rawValue)")
        }
    }
}
