import CKernels

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#endif

struct AttentionOptions {
    var window = 0, softcap: Float = 0, alibi = false, sinks = false, bidirectional = false
}

/// Numbers that a type of one byte has, from 0 up, for a largest of 127, 448 or 57344.
func cacheNumbers(_ type: nt_kv_type) -> [Float] {
    if type == NT_KV_INT8 { return (0...127).map { Float($0) } }
    let (mantissa, bias, last) = type == NT_KV_E4M3 ? (3, 7, 0x7e) : (2, 15, 0x7b)
    return [0] + ((1 << mantissa)...last).map { code in
        let significand = 1 + Float(code & ((1 << mantissa) - 1)) / Float(1 << mantissa)
        return Float(sign: .plus, exponent: (code >> mantissa) - bias, significand: significand)
    }
}

/// A row as the cache gives it back: of a byte type the nearest numbers times the row's scale, ties to even.
func cached(_ type: nt_kv_type, _ row: [Float]) -> [Double] {
    switch type {
    case NT_KV_F32: return row.map { Double($0) }
    case NT_KV_F16: return row.map { Double(float(f16: f16($0))) }
    case NT_KV_BF16: return row.map { Double(float(bf16: bf16($0))) }
    default: break
    }
    let numbers = cacheNumbers(type), largest = numbers[numbers.count - 1]
    let top = row.map { abs($0) }.max() ?? 0, scale = top / largest, inverse = largest / top
    return row.map { x in
        let y = min(abs(x) * inverse, largest)
        let above = numbers.firstIndex { $0 >= y } ?? numbers.count - 1
        var code = above
        if above > 0 {
            let down = y - numbers[above - 1], up = numbers[above] - y
            // Zero and the least number: half of it is the least number. Otherwise the even code.
            if down < up || (down == up && above > 1 && above % 2 == (type == NT_KV_INT8 ? 1 : 0)) { code = above - 1 }
        }
        return Double(numbers[code] * (x < 0 ? -1 : 1)) * Double(scale)
    }
}

/// One sequence of `length` tokens in a paged cache with shuffled pages, whose unused slots hold NaN.
final class AttentionSequence {
    let type: nt_kv_type, heads: Int, kvHeads: Int, kDim: Int, vDim: Int, rotary: Int?, block: Int, length: Int, options: AttentionOptions
    let q: [Float], k: [Float], v: [Float], slopes: [Float], sinks: [Float], table: [Int32]
    /// Of a latent, the part that is in its space.
    let qLatent: [Float]
    /// Keys and values as cached.
    let keys: [Double], values: [Double]
    let pages: UnsafeMutableRawPointer
    var cache: nt_kv_cache

    var isPaired: Bool { type == NT_KV_BF16 || type == NT_KV_E4M3 || type == NT_KV_E5M2 }

    convenience init(_ type: nt_kv_type, heads: Int, rank: Int, rotary: Int, block: Int = 16, length: Int, options: AttentionOptions = .init()) {
        self.init(type, heads: heads, kvHeads: 1, kDim: rank + rotary, vDim: rank, rotary: rotary, block: block, length: length, options: options)
    }

    init(
        _ type: nt_kv_type, heads: Int, kvHeads: Int, kDim: Int, vDim: Int? = nil, rotary: Int? = nil, block: Int = 16, length: Int,
        options: AttentionOptions = .init(), seed: UInt64 = 1
    ) {
        var random = Random(seed)
        (self.type, self.heads, self.kvHeads, self.kDim, self.block, self.length) = (type, heads, kvHeads, kDim, block, length)
        let vDim = vDim ?? kDim
        self.vDim = vDim
        self.rotary = rotary
        self.options = options
        let q = random.floats(length * heads * kDim, scale: 2)
        let k = random.floats(length * kvHeads * kDim, scale: rotary == nil ? 2 : 1)
        let v = random.floats(length * kvHeads * vDim)
        (self.q, self.k, self.v) = (q, k, v)
        qLatent = rotary == nil ? [] : (0..<length * heads).flatMap { Array(q[$0 * kDim..<$0 * kDim + vDim]) }
        func rows(_ x: [Float], _ width: Int) -> [ArraySlice<Float>] { (0..<length * kvHeads).map { x[$0 * width..<($0 + 1) * width] } }
        if rotary != nil {
            let isByte = type.rawValue >= NT_KV_INT8.rawValue
            keys = rows(k, kDim).flatMap { cached(type, Array($0.prefix(vDim))) + cached(isByte ? NT_KV_BF16 : type, Array($0.dropFirst(vDim))) }
            let all = keys
            values = (0..<length).flatMap { Array(all[$0 * kDim..<$0 * kDim + vDim]) }
        } else {
            keys = rows(k, kDim).flatMap { cached(type, Array($0)) }
            values = rows(v, vDim).flatMap { cached(type, Array($0)) }
        }
        slopes = (0..<heads).map { 0.05 * Float($0 + 1) }
        sinks = random.floats(heads)
        let count = (length + block - 1) / block
        table = (0..<count).map { Int32(($0 &* 5 + 3) % (count + 3)) }.reduce(into: []) { all, page in
            var page = page
            while all.contains(page) { page = (page + 1) % Int32(count + 3) }
            all.append(page)
        }
        cache = nt_kv_cache(
            type: type, latent: rotary != nil, block_size: block, kv_heads: kvHeads, k_dim: kDim, v_dim: vDim, page_stride: 0, pages: nil)
        cache.page_stride = nt_kv_page_bytes(&cache) + 64
        let bytes = cache.page_stride * (count + 3)
        pages = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
        memset(pages, 0xFF, bytes)                      // NaN in every type and scale
        cache.pages = pages
        let slots = (0..<length).map { Int64(table[$0 / block]) * Int64(block) + Int64($0 % block) }
        for h in 0..<kvHeads { nt_kv_write(&cache, k, kvHeads * kDim, v, kvHeads * vDim, slots, 0, length, h, h + 1) }
    }
    deinit { pages.deallocate() }

    /// Calls `body` with arguments for query tokens first..<first + count of the sequence; gives out [count, heads, vDim].
    func run(first: Int, count: Int, _ body: (inout nt_attention_args, UnsafeMutableRawPointer) -> Void) -> [Float] {
        var out = [Float](repeating: .nan, count: count * heads * vDim)
        q.withUnsafeBufferPointer { q in out.withUnsafeMutableBufferPointer { out in table.withUnsafeBufferPointer { table in
            slopes.withUnsafeBufferPointer { slopes in sinks.withUnsafeBufferPointer { sinks in qLatent.withUnsafeBufferPointer { qLatent in
                var args = nt_attention_args()
                args.cache = cache
                args.block_table = table.baseAddress
                if rotary != nil {
                    args.q = qLatent.baseAddress! + first * heads * vDim
                    args.q_stride = heads * vDim
                    args.q_rotary = q.baseAddress! + first * heads * kDim + vDim
                    (args.q_rotary_stride, args.q_rotary_head) = (heads * kDim, kDim)
                } else {
                    args.q = q.baseAddress! + first * heads * kDim
                    args.q_stride = heads * kDim
                }
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
            } } }
        } } }
        return out
    }

    /// Query heads by KV head, at most `most` at a time.
    private func ranges(_ most: Int) -> [Range<Int>] {
        let group = heads / kvHeads
        return (0..<kvHeads).flatMap { kv in
            stride(from: 0, to: group, by: most).map { kv * group + $0..<kv * group + min(group, $0 + most) }
        }
    }

    func whole(first: Int = 0, count: Int? = nil, headsAtOnce: Int = .max / 2) -> [Float] {
        run(first: first, count: count ?? length) { args, scratch in
            for h in ranges(headsAtOnce) { nt_attention(&args, h.lowerBound, h.upperBound, 0, count ?? length, scratch) }
        }
    }

    /// Splits on their own, the last first, then combined.
    func split(first: Int, count: Int, headsAtOnce: Int = .max / 2) -> [Float] {
        run(first: first, count: count) { args, scratch in
            let splits = nt_attention_splits(&args, count), floats = nt_attention_partial_floats(&args)
            for h in ranges(headsAtOnce) {
                let rows = count * h.count
                var partials = [Float](repeating: .nan, count: splits * rows * floats)
                partials.withUnsafeMutableBufferPointer { p in
                    for s in (0..<splits).reversed() {
                        nt_attention_partial(&args, h.lowerBound, h.upperBound, 0, count, s, p.baseAddress! + s * rows * floats, scratch)
                    }
                    nt_attention_combine(&args, h.lowerBound, h.upperBound, 0, count, splits, p.baseAddress)
                }
            }
        }
    }

    func reference(token: Int, head: Int) -> [Double] {
        let h = head / (heads / kvHeads), scale = 1 / Float(kDim).squareRoot()
        let seen = (0..<length).filter { j in
            (options.bidirectional || j <= token) && (options.window == 0 || j + options.window > token)
        }
        let query = (0..<kDim).map { d in
            let x = q[(token * heads + head) * kDim + d] * scale
            return isPaired ? Double(float(bf16: bf16(x))) : Double(x)
        }
        var scores = seen.map { j in (0..<kDim).reduce(0.0) { $0 + query[$1] * keys[(j * kvHeads + h) * kDim + $1] } }
        if options.softcap != 0 { scores = scores.map { Double(options.softcap) * tanh($0 / Double(options.softcap)) } }
        if options.alibi { for (i, j) in seen.enumerated() { scores[i] += Double(slopes[head]) * Double(j - token) } }
        let top = scores.max() ?? 0, p = scores.map { exp($0 - top) }
        let sum = p.reduce(0, +) + (options.sinks ? exp(Double(sinks[head]) - top) : 0)
        return (0..<vDim).map { d in
            zip(seen, p).reduce(0.0) { $0 + $1.1 * values[($1.0 * kvHeads + h) * vDim + d] } / sum
        }
    }
}
