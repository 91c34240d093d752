import Tensors
import Testing

struct DTypeTests {
    /// Elements and bytes of a block, from `GGML_QUANT_SIZES` of the gguf 0.18 Python package. Q8_1 is missing there in today's form (36).
    static let ggml: [(DType, Int, Int)] = [
        (.f32, 1, 4), (.f16, 1, 2), (.q4_0, 32, 18), (.q4_1, 32, 20), (.q5_0, 32, 22), (.q5_1, 32, 24), (.q8_0, 32, 34), (.q2_k, 256, 84),
        (.q3_k, 256, 110), (.q4_k, 256, 144), (.q5_k, 256, 176), (.q6_k, 256, 210), (.q8_k, 256, 292), (.iq2_xxs, 256, 66), (.iq2_xs, 256, 74),
        (.iq3_xxs, 256, 98), (.iq1_s, 256, 50), (.iq4_nl, 32, 18), (.iq3_s, 256, 110), (.iq2_s, 256, 82), (.iq4_xs, 256, 136), (.i8, 1, 1),
        (.i16, 1, 2), (.i32, 1, 4), (.i64, 1, 8), (.f64, 1, 8), (.iq1_m, 256, 56), (.bf16, 1, 2), (.tq1_0, 256, 54), (.tq2_0, 256, 66),
        (.mxfp4, 32, 17), (.nvfp4, 64, 36), (.q1_0, 128, 18), (.q2_0, 64, 18),
    ]

    @Test(arguments: ggml) func blockSizes(_ type: DType, _ elements: Int, _ bytes: Int) {
        #expect(type.blockSize == elements)
        #expect(type.bytesPerBlock == bytes)
        #expect(type.byteCount(elements: 3 * elements) == 3 * bytes)
        #expect(type.byteCount(elements: elements + 1) == (elements == 1 ? 2 * bytes : nil))
    }

    @Test func impossibleSizes() {
        #expect(DType.f32.byteCount(elements: -1) == nil)
        #expect(DType.f32.byteCount(elements: .max) == nil)
        #expect(DType.f4_e2m1.byteCount(elements: 6) == 3)
        #expect(DType.u8.byteCount(elements: .max) == .max)
    }
}

struct ShapeTests {
    @Test func countsAreChecked() {
        let scalar: Shape = []
        #expect(scalar.elementCount == 1)
        #expect(scalar.byteCount(.f32) == 4)
        #expect(scalar.byteCount(.q8_0) == nil)
        #expect(([2, 3, 4] as Shape).byteCount(.bf16) == 48)
        #expect(([2, -3] as Shape).elementCount == nil)
        #expect(([1 << 40, 1 << 40] as Shape).elementCount == nil)
        #expect(([1 << 61] as Shape).byteCount(.f64) == nil)
        #expect(([5, 0] as Shape).elementCount == 0)
        // 64 elements, but no row is a whole block.
        #expect(([2, 32] as Shape).byteCount(.q4_k) == nil)
        #expect(([16, 16] as Shape).byteCount(.q4_k) == nil)
        #expect(([2, 512] as Shape).byteCount(.q4_k) == 4 * 144)
    }

    @Test func identity() {
        #expect(([2, 3] as Shape) == Shape([2, 3]))
        #expect(([2, 3] as Shape) != ([2, 3, 1] as Shape))
        #expect(Set<Shape>([[1], [1], [1, 1]]).count == 2)
        #expect(Shape(Array(repeating: 1, count: 9)) == nil)
        #expect(Shape(Array(repeating: 1, count: 8))?.rank == 8)
        var shape: Shape = [4, 5]
        shape[-1] = 6
        #expect(shape.dimensions == [4, 6])
        #expect("\(shape)" == "[4, 6]")
    }
}
