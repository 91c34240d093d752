import Tensors
import Testing

struct StoredWeightTests {
    /// 3 × 5 nibbles in groups of 2, inputs in reverse.
    private func nibbles(order: [Int32]? = [4, 3, 2, 1, 0]) throws -> GroupedWeight {
        GroupedWeight(
            code: .uint4, outputs: 3, inputs: 5, groupSize: 2, codes: try tensor(.u8, [3, 3], [0x21, 0x43, 0x05, 0x32, 0x54, 0x06, 0x43, 0x65, 0x07] as [UInt8]),
            scales: try tensor(.f32, [3, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9] as [Float]), zeros: try tensor(.f32, [3, 3], [0, 1, 2, 0, 1, 2, 0, 1, 2] as [Float]),
            inputOrder: order, storedBits: 4)
    }

    private func tensor<Element: BitwiseCopyable>(_ dtype: DType, _ shape: Shape, _ elements: [Element]) throws -> TensorView {
        try TensorView.make(dtype, shape) { bytes in elements.withUnsafeBytes { bytes.copyMemory(from: $0) } }
    }

    @Test func floats() throws {
        // Row 0: codes 1 2 | 3 4 | 5, less 0, 1, 2, times 1, 2, 3, backwards.
        #expect(Array(try nibbles().floats().prefix(5)) == [9, 6, 4, 2, 1])
        #expect(Array(try nibbles(order: nil).floats().prefix(5)) == [1, 2, 4, 6, 9])
        var bytes = GroupedWeight(
            code: .int8, outputs: 1, inputs: 3, groupSize: 3, codes: try tensor(.u8, [1, 3], [0xFF, 0x80, 0x7F] as [UInt8]),
            scales: try tensor(.f32, [1, 1], [Float(2)]), storedBits: 8)
        #expect(try bytes.floats() == [-2, -256, 254])
        bytes.code = .float8
        let values = try bytes.floats()
        #expect(values[0].isNaN && values[1] == 0 && values[1].sign == .minus && values[2].isNaN)
        bytes.codes = try tensor(.u8, [1, 3], [0x38, 0xC0, 0x7E] as [UInt8])
        #expect(try bytes.floats() == [2, -4, 896])
        let table = GroupedWeight(
            code: .table((0..<16).map { Float($0 * $0) }), outputs: 1, inputs: 2, groupSize: 32, codes: try tensor(.u8, [1, 1], [UInt8(0x93)]),
            scales: try tensor(.f32, [1, 1], [Float(0.5)]), storedBits: 4)
        #expect(try table.floats() == [4.5, 40.5])
    }

    @Test func rows() throws {
        let weight = StoredWeight.grouped(try nibbles()), all = try weight.floats()
        let last = try weight.rows(1..<3)
        #expect(last.outputs == 2 && last.inputs == 5)
        #expect(try last.floats() == Array(all[5...]))
        let picked = try weight.rows([2, 0, 2, 1])
        #expect(picked.outputs == 4)
        #expect(try picked.floats() == Array(all[10...]) + Array(all[..<5]) + Array(all[10...]) + Array(all[5..<10]))
        #expect(try weight.rows([]).outputs == 0)
        // 9 bytes of codes, two tables of 9 floats, 5 places.
        #expect(weight.byteCount == 9 + 72 + 20)
        #expect(throws: TensorError.self) { _ = try weight.rows([3]) }
        #expect(throws: TensorError.self) { _ = try weight.rows([-1]) }
        #expect(throws: TensorError.self) { _ = try weight.rows(2..<4) }
        let dense = StoredWeight.dense(try tensor(.f32, [2, 2], [1, 2, 3, 4] as [Float]))
        #expect(try dense.rows([1, 0]).floats() == [3, 4, 1, 2])
        #expect(try dense.rows(1..<2).floats() == [3, 4])
        #expect(dense.byteCount == 16)
    }

    /// Parts that do not fit together are refused before anything is read.
    @Test func checks() throws {
        func refuses(_ change: (inout GroupedWeight) throws -> Void) throws {
            var weight = try nibbles()
            try change(&weight)
            #expect(throws: TensorError.self) { _ = try weight.floats() }
        }
        try refuses { $0.groupSize = 0 }
        try refuses { $0.groupSize = 3 }
        try refuses { $0.inputs = 7 }
        try refuses { $0.outputs = -3 }
        try refuses { $0.code = .int8 }
        try refuses { $0.code = .table([1]) }
        try refuses { $0.inputOrder = [0, 1, 2, 3] }
        try refuses { $0.inputOrder = [0, 1, 2, 3, 3] }
        try refuses { $0.inputOrder = [0, 1, 2, 3, 5] }
        try refuses { $0.inputOrder = [0, 1, 2, 3, -1] }
        try refuses { $0.scales = try tensor(.f32, [9], [Float](repeating: 1, count: 9)) }
        try refuses { $0.zeros = try tensor(.i32, [3, 3], [Int32](repeating: 1, count: 9)) }
    }

    @Test func transposed() throws {
        let matrix = try tensor(.bf16, [70, 40], (0..<2800).map { UInt16($0) })
        let turned = try matrix.transposed()
        #expect(turned.shape == [40, 70])
        let values = turned.withUnsafeBytes { Array($0.bindMemory(to: UInt16.self)) }
        let isTurned = (0..<2800).allSatisfy { place in Int(values[place]) == place % 70 * 40 + place / 70 }
        #expect(isTurned)
        let row = try tensor(.u8, [4], [1, 2, 3, 4] as [UInt8]), blocks = try TensorView.make(.q8_0, [1, 32]) { _ in }
        #expect(throws: TensorError.self) { _ = try row.transposed() }
        #expect(throws: TensorError.self) { _ = try blocks.transposed() }
    }
}
