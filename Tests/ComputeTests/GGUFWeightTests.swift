import Compute
import Glibc
import Tensors
import Testing

/// Matrices of each GGUF type through the backend, held against the values that the gguf package gives for the same blocks.
@Suite struct GGUFWeightTests {
    static let types: [UInt32: DType] = [
        2: .q4_0, 3: .q4_1, 6: .q5_0, 7: .q5_1, 8: .q8_0, 9: .q8_1, 10: .q2_k, 11: .q3_k, 12: .q4_k, 13: .q5_k, 14: .q6_k, 15: .q8_k, 16: .iq2_xxs,
        17: .iq2_xs, 18: .iq3_xxs, 19: .iq1_s, 20: .iq4_nl, 21: .iq3_s, 22: .iq2_s, 23: .iq4_xs, 29: .iq1_m, 34: .tq1_0, 35: .tq2_0, 39: .mxfp4,
        40: .nvfp4, 41: .q1_0, 42: .q2_0,
    ]

    struct Blocks {
        var type: DType, bytes: [UInt8], values: [Float]

        /// `rows` rows of `columns` elements, blocks taken in turn.
        func matrix(rows: Int, columns: Int) throws -> (TensorView, [Float]) {
            let elements = type.blockSize, size = type.bytesPerBlock, count = bytes.count / size
            let order = (0..<rows * columns / elements).map { ($0 * 7 + $0 / 5) % count }
            let view = try TensorView.make(type, [rows, columns]) { memory in
                for (place, block) in order.enumerated() {
                    for i in 0..<size { memory[place * size + i] = bytes[block * size + i] }
                }
            }
            return (view, order.flatMap { values[($0 * elements)..<(($0 + 1) * elements)] })
        }
    }

    /// `Tests/Fixtures/gguf-types/blocks.bin`; its `make.py` says how it is laid out.
    static let fixture: [Blocks] = {
        let tests = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
        guard let file = fopen("\(tests)/Fixtures/gguf-types/blocks.bin", "rb") else { return [] }
        defer { fclose(file) }
        var all: [Blocks] = [], head: [UInt32] = [0, 0, 0]
        while fread(&head, 4, 3, file) == 3 {
            var bytes = [UInt8](repeating: 0, count: Int(head[1])), values = [Float](repeating: 0, count: Int(head[2]))
            guard fread(&bytes, 1, bytes.count, file) == bytes.count, fread(&values, 4, values.count, file) == values.count,
                let type = types[head[0]]
            else { break }
            all.append(Blocks(type: type, bytes: bytes, values: values))
        }
        return all
    }()

    @Test(arguments: [ComputePrecision.float32, .auto])
    func productsMatchTheDequantisedReference(_ precision: ComputePrecision) throws {
        #expect(Self.fixture.count == Self.types.count)
        let rows = 3, outputs = 40, inputs = 768
        var configuration = CPUBackend.Configuration(threadCount: 2, maxBatchedTokens: rows)
        configuration.precision = precision
        let backend = CPUBackend(configuration)
        let x = try backend.makeTensor(rows: rows, columns: inputs), y = try backend.makeTensor(rows: rows, columns: outputs)
        for i in 0..<rows * inputs { x.floats[i] = Float((i * 37 + i / 11) % 201 - 100) / 50 }
        for blocks in Self.fixture {
            let (view, values) = try blocks.matrix(rows: outputs, columns: inputs)
            let matrix = try backend.makeMatrix([.dense(view)], biases: [])
            #expect(matrix.outputs == outputs && matrix.inputs == inputs)
            backend.linear(.plain(x), matrix, into: y)
            for r in 0..<rows {
                for c in 0..<outputs {
                    var sum = 0.0, squares = 0.0, size = 0.0
                    for i in 0..<inputs {
                        let term = Double(x.floats[r * inputs + i]) * Double(values[c * inputs + i])
                        sum += term
                        size += abs(term)
                        squares += Double(values[c * inputs + i]) * Double(values[c * inputs + i])
                    }
                    // 8-bit activations are off by at most half a step of 2 / 127 each, and by a third of that on average
                    let tolerance = precision == .float32 ? 1e-6 * size : 5 * (2.0 / 127 / 12.0.squareRoot()) * squares.squareRoot()
                    #expect(abs(Double(y.floats[r * outputs + c]) - sum) <= tolerance, "\(blocks.type) \(precision) at \(r), \(c)")
                }
            }
        }
    }

    @Test func everyTypeIsTakenAsAnEmbedding() throws {
        let backend = CPUBackend(.init(threadCount: 1, maxBatchedTokens: 1))
        for blocks in Self.fixture {
            let (view, _) = try blocks.matrix(rows: 5, columns: 512)
            let table = try backend.makeEmbedding(view)
            #expect(table.rows == 5 && table.columns == 512)
        }
    }
}
