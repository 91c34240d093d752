import CKernels
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#endif

extension Kernels {
    @Suite struct Attention {
        struct Options {
            var window = 0, softcap: Float = 0, alibi = false, sinks = false, bidirectional = false
        }

        /// One sequence of `length` tokens in a paged cache with shuffled pages, whose unused slots hold NaN.
        final class Sequence {
            let type: nt_kv_type, heads: Int, kvHeads: Int, kDim: Int, vDim: Int, block: Int, length: Int, options: Options
            let q: [Float], k: [Float], v: [Float], slopes: [Float], sinks: [Float], table: [Int32]
            let pages: UnsafeMutableRawPointer
            var cache: nt_kv_cache

            init(_ type: nt_kv_type, heads: Int, kvHeads: Int, kDim: Int, vDim: Int? = nil, block: Int = 16, length: Int,
                 options: Options = Options(), seed: UInt64 = 1) {
                var random = Random(seed)
                (self.type, self.heads, self.kvHeads, self.kDim, self.block, self.length) = (type, heads, kvHeads, kDim, block, length)
                self.vDim = vDim ?? kDim
                self.options = options
                q = random.floats(length * heads * kDim, scale: 2)
                k = random.floats(length * kvHeads * kDim, scale: 2)
                v = random.floats(length * kvHeads * self.vDim)
                slopes = (0..<heads).map { 0.05 * Float($0 + 1) }
                sinks = random.floats(heads)
                let count = (length + block - 1) / block
                table = (0..<count).map { Int32(($0 &* 5 + 3) % (count + 3)) }.reduce(into: []) { all, page in
                    var page = page
                    while all.contains(page) { page = (page + 1) % Int32(count + 3) }
                    all.append(page)
                }
                cache = nt_kv_cache(type: type, latent: false, block_size: block, kv_heads: kvHeads, k_dim: kDim, v_dim: self.vDim, page_stride: 0, pages: nil)
                cache.page_stride = nt_kv_page_bytes(&cache) + 64
                let bytes = cache.page_stride * (count + 3)
                pages = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
                memset(pages, 0xFF, bytes)                      // NaN in every type
                cache.pages = pages
                let slots = (0..<length).map { Int64(table[$0 / block]) * Int64(block) + Int64($0 % block) }
                for h in 0..<kvHeads { nt_kv_write(&cache, k, kvHeads * kDim, v, kvHeads * self.vDim, slots, 0, length, h, h + 1) }
            }
            deinit { pages.deallocate() }

            /// Calls `body` with arguments for query tokens first..<first + count of the sequence; gives out [count, heads, vDim].
            func run(first: Int, count: Int, _ body: (inout nt_attention_args, UnsafeMutableRawPointer) -> Void) -> [Float] {
                var out = [Float](repeating: .nan, count: count * heads * vDim)
                q.withUnsafeBufferPointer { q in out.withUnsafeMutableBufferPointer { out in table.withUnsafeBufferPointer { table in
                    slopes.withUnsafeBufferPointer { slopes in sinks.withUnsafeBufferPointer { sinks in
                        var args = nt_attention_args()
                        args.cache = cache
                        args.block_table = table.baseAddress
                        args.q = q.baseAddress! + first * heads * kDim
                        args.q_stride = heads * kDim
                        args.out = out.baseAddress
                        args.out_stride = heads * vDim
                        (args.heads, args.first_position) = (heads, first)
                        args.scale = 1 / Float(kDim).squareRoot()
                        (args.softcap, args.window) = (options.softcap, options.window)
                        if options.alibi { args.alibi_slopes = slopes.baseAddress }
                        if options.sinks { args.sinks = sinks.baseAddress }
                        (args.bidirectional, args.key_count) = (options.bidirectional, length)
                        let bytes = nt_attention_scratch_bytes(&args)
                        let scratch = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
                        memset(scratch, 0xFF, bytes)
                        body(&args, scratch)
                        scratch.deallocate()
                    } }
                } } }
                return out
            }

            func whole(first: Int = 0, count: Int? = nil) -> [Float] {
                run(first: first, count: count ?? length) { args, scratch in
                    for h in 0..<kvHeads { nt_attention(&args, h * heads / kvHeads, (h + 1) * heads / kvHeads, 0, count ?? length, scratch) }
                }
            }

            /// Splits on their own, in the order `order` gives, then combined.
            func split(first: Int, count: Int) -> [Float] {
                run(first: first, count: count) { args, scratch in
                    let splits = nt_attention_splits(&args, count), floats = nt_attention_partial_floats(&args)
                    let rows = count * heads / kvHeads
                    for h in 0..<kvHeads {
                        var partials = [Float](repeating: .nan, count: splits * rows * floats)
                        partials.withUnsafeMutableBufferPointer { p in
                            for s in (0..<splits).reversed() {
                                nt_attention_partial(&args, h * heads / kvHeads, (h + 1) * heads / kvHeads, 0, count, s, p.baseAddress! + s * rows * floats, scratch)
                            }
                            nt_attention_combine(&args, h * heads / kvHeads, (h + 1) * heads / kvHeads, 0, count, splits, p.baseAddress)
                        }
                    }
                }
            }

            private func rounded(_ x: Float) -> Double {
                switch type {
                case NT_KV_BF16: Double(float(bf16: bf16(x)))
                case NT_KV_F16: Double(float(f16: f16(x)))
                default: Double(x)
                }
            }

            func reference(token: Int, head: Int) -> [Double] {
                let h = head / (heads / kvHeads), scale = 1 / Float(kDim).squareRoot()
                let seen = (0..<length).filter { j in
                    (options.bidirectional || j <= token) && (options.window == 0 || j + options.window > token)
                }
                var scores = seen.map { j in
                    (0..<kDim).reduce(0.0) { sum, d in
                        let x = q[(token * heads + head) * kDim + d] * scale
                        return sum + (type == NT_KV_BF16 ? Double(float(bf16: bf16(x))) : Double(x)) * rounded(k[(j * kvHeads + h) * kDim + d])
                    }
                }
                if options.softcap != 0 { scores = scores.map { Double(options.softcap) * tanh($0 / Double(options.softcap)) } }
                if options.alibi { for (i, j) in seen.enumerated() { scores[i] += Double(slopes[head]) * Double(j - token) } }
                let top = scores.max() ?? 0, p = scores.map { exp($0 - top) }
                let sum = p.reduce(0, +) + (options.sinks ? exp(Double(sinks[head]) - top) : 0)
                return (0..<vDim).map { d in
                    zip(seen, p).reduce(0.0) { $0 + $1.1 * rounded(v[($1.0 * kvHeads + h) * vDim + d]) } / sum
                }
            }
        }

        static let types = [NT_KV_F32, NT_KV_F16, NT_KV_BF16]

        func expectMatches(_ s: Sequence, _ level: nt_isa, _ what: String) {
            let out = s.whole(), tolerance = s.type == NT_KV_BF16 ? 4e-3 : 3e-6   // bf16: probabilities are rounded too
            for t in Set([0, 1, s.length / 2, s.length - 1]).filter({ $0 < s.length }) {
                for h in 0..<s.heads {
                    let expected = s.reference(token: t, head: h)
                    for d in 0..<s.vDim {
                        let error = abs(Double(out[(t * s.heads + h) * s.vDim + d]) - expected[d])
                        #expect(error <= tolerance, "level \(level.rawValue) type \(s.type.rawValue) \(what) token \(t) head \(h) dim \(d)")
                    }
                }
            }
        }

        @Test func matchesDoublePrecisionForManyShapes() {
            let shapes = [(1, 1, 16, 1), (3, 3, 24, 15), (3, 1, 32, 17), (8, 2, 64, 33), (8, 1, 80, 65), (9, 3, 64, 130), (4, 4, 128, 31), (6, 2, 2, 63)]
            Kernels.forEachLevel { level in
                for type in Self.types {
                    for (heads, kvHeads, dim, length) in shapes {
                        for block in [16, 48] {
                            let s = Sequence(type, heads: heads, kvHeads: kvHeads, kDim: dim, block: block, length: length)
                            expectMatches(s, level, "heads \(heads)/\(kvHeads) dim \(dim) length \(length) block \(block)")
                        }
                    }
                    expectMatches(Sequence(type, heads: 2, kvHeads: 1, kDim: 48, vDim: 20, length: 70), level, "k 48 v 20")
                    expectMatches(Sequence(type, heads: 1, kvHeads: 1, kDim: 512, vDim: 512, block: 32, length: 20), level, "512")
                    expectMatches(Sequence(type, heads: 3, kvHeads: 1, kDim: 16, block: 32, length: 1100), level, "three splits")
                }
            }
        }

        @Test func optionsMatchDoublePrecision() {
            var options = [1, 2, 15, 16, 17, 64, 65, 600].map { Options(window: $0) }
            options += [Options(softcap: 0.7), Options(alibi: true), Options(sinks: true), Options(bidirectional: true),
                        Options(window: 33, softcap: 2, alibi: true, sinks: true)]
            Kernels.forEachLevel { level in
                for type in Self.types {
                    for o in options {
                        let s = Sequence(type, heads: 4, kvHeads: 2, kDim: 32, length: 131, options: o)
                        expectMatches(s, level, "\(o)")
                    }
                    expectMatches(Sequence(type, heads: 1, kvHeads: 1, kDim: 16, length: 1300, options: Options(window: 520, sinks: true)), level, "window over splits")
                }
            }
        }

        /// Prefill, chunks, single tokens and separate splits give the same bits.
        @Test func bitsDoNotDependOnHowTheWorkIsCut() {
            Kernels.forEachLevel { level in
                for type in Self.types {
                    for (o, length) in [(Options(), 75), (Options(window: 20, sinks: true), 75), (Options(softcap: 3, alibi: true), 60), (Options(window: 530), 1050), (Options(), 1030)] {
                        let s = Sequence(type, heads: 6, kvHeads: 2, kDim: 32, block: 32, length: length, options: o)
                        let place: Comment = "level \(level.rawValue) type \(type.rawValue) \(o) length \(length)"
                        let whole = s.whole(), row = s.heads * s.vDim
                        #expect(whole.allSatisfy { $0.isFinite }, place)
                        for t in Swift.Set([0, 1, 14, 15, 16, 17, 31, 32, 40, length - 20, length - 1]) {
                            let expected = Array(whole[(t * row)..<(t * row + row)])
                            #expect(sameBits(s.whole(first: t, count: 1), expected), place)
                            #expect(sameBits(s.split(first: t, count: 1), expected), place)
                        }
                        for (first, count) in [(0, 7), (7, 33), (length - 19, 19)] {
                            let expected = Array(whole[(first * row)..<((first + count) * row)])
                            #expect(sameBits(s.whole(first: first, count: count), expected), place)
                            #expect(sameBits(s.split(first: first, count: count), expected), place)
                        }
                    }
                }
            }
        }

        @Test func copiedPageGivesTheSameAnswer() {
            for type in Self.types {
                for length in [37, 48, 33] {
                    let s = Sequence(type, heads: 2, kvHeads: 2, kDim: 16, vDim: 24, block: 16, length: length)
                    let before = s.whole(first: length - 1, count: 1)
                    let spare = (0..<s.table.count + 3).first { !s.table.contains(Int32($0)) } ?? 0
                    let last = Int(s.table[s.table.count - 1])
                    nt_kv_copy(&s.cache, last, spare, (length - 1) % 16 + 1)
                    memset(s.pages + last * s.cache.page_stride, 0xFF, s.cache.page_stride)
                    var table = s.table
                    table[table.count - 1] = Int32(spare)
                    let after = s.run(first: length - 1, count: 1) { args, scratch in
                        table.withUnsafeBufferPointer {
                            args.block_table = $0.baseAddress
                            for h in 0..<2 { nt_attention(&args, h, h + 1, 0, 1, scratch) }
                        }
                    }
                    #expect(sameBits(before, after), "type \(type.rawValue) length \(length)")
                }
            }
        }

        @Test func negativeSlotsAreSkipped() {
            let s = Sequence(NT_KV_F32, heads: 1, kvHeads: 1, kDim: 16, length: 3)
            let before = s.whole()
            nt_kv_write(&s.cache, [Float](repeating: 9, count: 16), 16, [Float](repeating: 9, count: 16), 16, [-1], 0, 1, 0, 1)
            #expect(sameBits(before, s.whole()))
        }
    }
}
