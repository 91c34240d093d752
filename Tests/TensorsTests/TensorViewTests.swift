import Tensors
import Testing

struct TensorViewTests {
    /// 0, 1, 2, … as i32.
    private func counting(_ shape: Shape) throws -> TensorView {
        try TensorView.make(.i32, shape) { bytes in
            for (index, value) in (0..<Int32(bytes.count / 4)).enumerated() { bytes.storeBytes(of: value, toByteOffset: index * 4, as: Int32.self) }
        }
    }

    @Test func sizesMustAgree() throws {
        let view = try counting([2, 3])
        #expect(TensorView(dtype: .i32, shape: [2, 2], bytes: view.bytes, owner: view.owner) == nil)
        #expect(throws: TensorError.self) { try view.reshaped([7]) }
        #expect(throws: TensorError.self) { try TensorView.make(.q4_0, [31]) { _ in } }
        #expect(try view.reshaped([3, 2]).shape == [3, 2])
    }

    /// Every axis, every number of parts: the parts hold exactly the elements that index arithmetic says.
    @Test func slicesAgainstIndexArithmetic() throws {
        let extents = [4, 6, 2, 12]
        let view = try counting(Shape(extents) ?? [])
        for dimension in extents.indices {
            for parts in 1...4 where extents[dimension] % parts == 0 {
                for rank in 0..<parts {
                    let part = try view.slice(dimension: dimension, rank: rank, of: parts)
                    let size = extents[dimension] / parts
                    let expected = (0..<view.count).filter { flat in
                        let inner = extents[(dimension + 1)...].reduce(1, *)
                        return flat / inner % extents[dimension] / size == rank
                    }
                    #expect(try part.integers() == expected)
                    #expect(part.shape[dimension] == size)
                }
            }
        }
    }

    @Test func outerSlicesCopyNothing() throws {
        let view = try counting([4, 3])
        let part = try view.slice(dimension: 0, rank: 1, of: 2)
        #expect(part.bytes.baseAddress == view.bytes.baseAddress.map { $0 + 24 })
        // An axis is the outermost in effect where those outside have extent 1.
        let lifted = try view.reshaped([1, 4, 3]).slice(dimension: 1, rank: 1, of: 4)
        #expect(lifted.bytes.baseAddress == view.bytes.baseAddress.map { $0 + 12 })
        #expect(try view[row: 2].integers() == [6, 7, 8])
        #expect(try view[row: 2].shape == [3])
        #expect(throws: TensorError.self) { try view[row: 4] }
        #expect(throws: TensorError.self) { try view.rows(3..<5) }
    }

    @Test func uneven() throws {
        let view = try counting([4, 3])
        #expect(throws: TensorError.self) { try view.slice(dimension: 1, rank: 0, of: 2) }
        #expect(throws: TensorError.self) { try view.slice(dimension: 2, rank: 0, of: 1 + 1) }
        #expect(throws: TensorError.self) { try view.slice(dimension: 0, rank: 2, of: 2) }
        #expect(throws: TensorError.self) { try view.slice(dimension: 0, rank: 0, of: 0) }
    }

    @Test func quantisedRowsAreCutOnBlockBordersOnly() throws {
        let view = try TensorView.make(.q8_0, [2, 64]) { bytes in for index in bytes.indices { bytes[index] = UInt8(index) } }
        let right = try view.slice(dimension: 1, rank: 1, of: 2)
        #expect(right.shape == [2, 32])
        #expect(Array(right.bytes) == Array(34..<68) + Array(102..<136))
        #expect(throws: TensorError.self) { try view.slice(dimension: 1, rank: 0, of: 4) }
        #expect(try view.slice(dimension: 0, rank: 1, of: 2).bytes.count == 68)
    }

    @Test func emptyTensors() throws {
        let view = try counting([0, 1 << 40])
        #expect(try view.slice(dimension: 1, rank: 1, of: 2).shape == [0, 1 << 39])
        #expect(try view.slice(dimension: 0, rank: 1, of: 2).count == 0)
        #expect(view.bytesPerRow == 0)
    }

    @Test func alignment() throws {
        let file = try [UInt8](0..<9).withUnsafeBytes { try MappedFile(contents: $0, name: "memory") }
        let view = try #require(TensorView(dtype: .u8, shape: [8], bytes: UnsafeRawBufferPointer(rebasing: file.bytes[0..<8]), owner: file))
        let aligned = view.aligned(to: 8)
        #expect(aligned.bytes.baseAddress.map { Int(bitPattern: $0) % 8 } == 0)
        #expect(try aligned.integers() == [0, 1, 2, 3, 4, 5, 6, 7])
        #expect(aligned.aligned(to: 8).bytes.baseAddress == aligned.bytes.baseAddress)
    }
}

struct TensorValueTests {
    private func floats(_ dtype: DType, _ bytes: [UInt8]) throws -> [Float] {
        try TensorView.make(dtype, [bytes.count / dtype.bytesPerBlock]) { $0.copyBytes(from: bytes) }.floats()
    }

    /// All 65,536 halves, against arithmetic on their fields.
    @Test func halves() throws {
        let bytes = (0..<65536).flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
        for (code, value) in try floats(.f16, bytes).enumerated() {
            let exponent = code >> 10 & 31, fraction = Double(code & 1023), sign = code >> 15 == 0 ? 1.0 : -1.0
            if exponent == 31 {
                #expect(fraction == 0 ? value == Float(sign * .infinity) : value.isNaN)
            } else {
                var expected = exponent == 0 ? fraction / 1024 : 1 + fraction / 1024
                for _ in 0..<abs(max(exponent, 1) - 15) { expected = exponent < 15 ? expected / 2 : expected * 2 }
                #expect(value == Float(sign * expected) && (value.sign == .minus) == (sign < 0))
            }
        }
    }

    @Test func others() throws {
        #expect(try floats(.bf16, [0x80, 0x3F, 0x20, 0xC1]) == [1, -10])
        #expect(try floats(.f32, [0, 0, 0x80, 0x3F]) == [1])
        #expect(try floats(.f64, [0, 0, 0, 0, 0, 0, 0xF8, 0x3F]) == [1.5])
        // E4M3: 1, 448 (largest), 2⁻⁹ (smallest), -0.5, NaN.
        let e4m3 = try floats(.f8_e4m3, [0x38, 0x7E, 0x01, 0xB0, 0x7F])
        #expect(e4m3.prefix(4) == [1, 448, 0x1p-9, -0.5] && e4m3[4].isNaN)
        // E5M2: 1, 57344 (largest), 2⁻¹⁶ (smallest).
        #expect(try floats(.f8_e5m2, [0x3C, 0x7B, 0x01]) == [1, 57344, 0x1p-16])
        #expect(throws: TensorError.self) { try floats(.i8, [1]) }
        let wide = try TensorView.make(.u64, [1]) { for index in $0.indices { $0[index] = 255 } }
        #expect(throws: TensorError.self) { try wide.integers() }
        #expect(throws: TensorError.self) { try wide.floats() }
    }
}
