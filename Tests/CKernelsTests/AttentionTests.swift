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
        typealias Options = AttentionOptions
        typealias Sequence = AttentionSequence

        static let types = [NT_KV_F32, NT_KV_F16, NT_KV_BF16, NT_KV_INT8, NT_KV_E4M3, NT_KV_E5M2]

        func expectMatches(_ s: Sequence, _ level: nt_isa, _ what: String) {
            let out = s.whole(), tolerance = s.isPaired ? 4e-3 : 3e-6   // probabilities are rounded to bf16 too
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

        @Test func latentsMatchDoublePrecision() {
            let shapes = [(1, 32, 8, 1), (3, 64, 16, 33), (4, 20, 6, 70), (3, 512, 64, 18), (9, 96, 32, 131), (8, 32, 0, 17)]
            Kernels.forEachLevel { level in
                for type in Self.types {
                    for (heads, rank, rotary, length) in shapes {
                        let s = Sequence(type, heads: heads, rank: rank, rotary: rotary, block: 48, length: length)
                        expectMatches(s, level, "heads \(heads) rank \(rank) + \(rotary) length \(length)")
                    }
                    expectMatches(Sequence(type, heads: 2, rank: 16, rotary: 16, length: 1100), level, "three splits")
                    let options = Options(window: 33, softcap: 2, alibi: true, sinks: true)
                    expectMatches(Sequence(type, heads: 6, rank: 40, rotary: 8, length: 131, options: options), level, "\(options)")
                }
            }
        }

        /// Ranges of heads that share a KV head, and latents in chunks, splits and ranges.
        @Test func bitsDoNotDependOnWhichHeadsRunTogether() {
            Kernels.forEachLevel { level in
                for type in Self.types {
                    let sequences = [
                        Sequence(type, heads: 22, kvHeads: 2, kDim: 32, length: 75),
                        Sequence(type, heads: 13, rank: 32, rotary: 8, block: 32, length: 530),
                        Sequence(type, heads: 16, rank: 32, rotary: 8, block: 32, length: 75, options: Options(window: 20, sinks: true)),
                    ]
                    for s in sequences {
                        let place: Comment = "level \(level.rawValue) type \(type.rawValue) latent \(s.rotary != nil)"
                        let whole = s.whole(), row = s.heads * s.vDim
                        #expect(whole.allSatisfy { $0.isFinite }, place)
                        #expect(sameBits(s.whole(headsAtOnce: 1), whole), place)
                        #expect(sameBits(s.whole(headsAtOnce: 5), whole), place)
                        for (first, count) in [(0, 1), (16, 1), (s.length - 1, 1), (0, 7), (s.length - 19, 19)] {
                            let expected = Array(whole[(first * row)..<((first + count) * row)])
                            #expect(sameBits(s.whole(first: first, count: count), expected), place)
                            #expect(sameBits(s.split(first: first, count: count), expected), place)
                            #expect(sameBits(s.split(first: first, count: count, headsAtOnce: 4), expected), place)
                        }
                    }
                }
            }
        }

        @Test func notFiniteRowsStayVisible() {
            for type in Self.types {
                for poison in [Float.nan, .infinity] {
                    let s = Sequence(type, heads: 1, kvHeads: 1, kDim: 16, length: 3)
                    var v = Array(s.v[16..<32])
                    v[3] = poison
                    nt_kv_write(&s.cache, Array(s.k[16..<32]), 16, v, 16, [Int64(s.table[0]) * 16 + 1], 0, 1, 0, 1)
                    #expect(s.whole(first: 0, count: 1).allSatisfy { $0.isFinite })
                    #expect(!s.whole(first: 2, count: 1)[3].isFinite, "type \(type.rawValue)")
                }
            }
        }

        @Test func copiedPageGivesTheSameAnswer() {
            for type in Self.types {
                for length in [37, 48, 33] {
                  for s in [
                    Sequence(type, heads: 2, kvHeads: 2, kDim: 16, vDim: 24, block: 16, length: length),
                    Sequence(type, heads: 2, rank: 40, rotary: 8, block: 16, length: length),
                  ] {
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
        }

        @Test func negativeSlotsAreSkipped() {
            let s = Sequence(NT_KV_F32, heads: 1, kvHeads: 1, kDim: 16, length: 3)
            let before = s.whole()
            nt_kv_write(&s.cache, [Float](repeating: 9, count: 16), 16, [Float](repeating: 9, count: 16), 16, [-1], 0, 1, 0, 1)
            #expect(sameBits(before, s.whole()))
        }
    }
}
