// Sixteen-lane vectors for one ISA level. Included once in each level_*.c, inside its target attribute.
//
// Every level computes with the same 16 logical lanes: the compiler lowers them to one zmm, two ymm, or four xmm/q
// registers. One formula, one reduction tree, one source for every level; only the dot products below differ.

typedef float vf __attribute__((vector_size(64)));
typedef int32_t vi __attribute__((vector_size(64)));
typedef uint32_t vu __attribute__((vector_size(64)));
typedef float vf8 __attribute__((vector_size(32)));
typedef int32_t vi8 __attribute__((vector_size(32)));
typedef float vf4 __attribute__((vector_size(16)));
typedef int32_t vi4 __attribute__((vector_size(16)));
typedef uint16_t vh __attribute__((vector_size(32)));   // 16 halves or bfloats
typedef uint8_t vb __attribute__((vector_size(16)));    // 16 bytes
typedef int8_t vsb __attribute__((vector_size(16)));
typedef uint8_t vb64 __attribute__((vector_size(64)));

#define INLINE static inline __attribute__((always_inline))
#define KERNEL static __attribute__((noinline))
#define NEGATIVE_INFINITY (-__builtin_inff())

INLINE vf vf_set(float x) { return (vf){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
INLINE vi vi_set(int32_t x) { return (vi){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
INLINE vf vf_load(const void *p) { vf v; __builtin_memcpy(&v, p, 64); return v; }
INLINE vi vi_load(const void *p) { vi v; __builtin_memcpy(&v, p, 64); return v; }
INLINE void vf_store(void *p, vf v) { __builtin_memcpy(p, &v, 64); }
INLINE void vi_store(void *p, vi v) { __builtin_memcpy(p, &v, 64); }
INLINE vh vh_load(const void *p) { vh v; __builtin_memcpy(&v, p, 32); return v; }
INLINE void vh_store(void *p, vh v) { __builtin_memcpy(p, &v, 32); }
INLINE int32_t load_i32(const void *p) { int32_t v; __builtin_memcpy(&v, p, 4); return v; }
INLINE float load_f32(const void *p) { float v; __builtin_memcpy(&v, p, 4); return v; }
/// Four consecutive bytes at p in every lane.
INLINE vi vi_splat_load(const void *p) { return vi_set(load_i32(p)); }

/// First n (0...16) lanes from memory, zeros behind; never touches memory beyond them.
INLINE vf vf_load_n(const void *p, size_t n) {
#if NT_LEVEL >= 2
    return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
    vf v = {0}; __builtin_memcpy(&v, p, n * 4); return v;
#endif
}
INLINE void vf_store_n(void *p, vf v, size_t n) {
#if NT_LEVEL >= 2
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#else
    __builtin_memcpy(p, &v, n * 4);
#endif
}
INLINE vh vh_load_n(const void *p, size_t n) {
#if NT_LEVEL >= 2
    return (vh)_mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), p);
#else
    vh v = {0}; __builtin_memcpy(&v, p, n * 2); return v;
#endif
}
INLINE void vh_store_n(void *p, vh v, size_t n) {
#if NT_LEVEL >= 2
    _mm256_mask_storeu_epi16(p, (__mmask16)((1u << n) - 1), (__m256i)v);
#else
    __builtin_memcpy(p, &v, n * 2);
#endif
}

/// a * b + c; fused wherever the level has it.
INLINE vf vf_fma(vf a, vf b, vf c) {
#if NT_LEVEL >= 1 || defined(__aarch64__)
    return __builtin_elementwise_fma(a, b, c);
#else
    return a * b + c;
#endif
}
INLINE vf vf_select(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }
/// The second operand when one is NaN.
INLINE vf vf_max(vf a, vf b) { return vf_select(a > b, a, b); }
INLINE vf vf_min(vf a, vf b) { return vf_select(a < b, a, b); }
INLINE vf vf_abs(vf a) { return (vf)((vi)a & vi_set(0x7fffffff)); }
INLINE vf vf_from_i(vi a) { return __builtin_convertvector(a, vf); }

/// The one reduction tree: lanes i and i + 8, then + 4, + 2, + 1.
INLINE float vf_sum(vf v) {
    vf8 a = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) + __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    vf4 b = __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
    return (b[0] + b[2]) + (b[1] + b[3]);
}
INLINE float vf_reduce_max(vf v) {
    vf8 a = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7), b = __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    vi8 pick = a > b;
    a = (vf8)((pick & (vi8)a) | (~pick & (vi8)b));
    vf4 c = __builtin_shufflevector(a, a, 0, 1, 2, 3), d = __builtin_shufflevector(a, a, 4, 5, 6, 7);
    vi4 pick4 = c > d;
    c = (vf4)((pick4 & (vi4)c) | (~pick4 & (vi4)d));
    float x = c[0] > c[2] ? c[0] : c[2], y = c[1] > c[3] ? c[1] : c[3];
    return x > y ? x : y;
}
/// Sums of four vectors as four groups of four lanes, each group still to be reduced by + 2, + 1 (same tree as vf_sum).
INLINE vf vf_sum4(vf a, vf b, vf c, vf d) {
    vf ab = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
          + __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    vf cd = __builtin_shufflevector(c, d, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
          + __builtin_shufflevector(c, d, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    return __builtin_shufflevector(ab, cd, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
         + __builtin_shufflevector(ab, cd, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
}
/// Last two steps of the tree for four results of vf_sum4: group g, lane j = the sum of group g of u_j.
INLINE vf vf_sum16(vf u0, vf u1, vf u2, vf u3) {
    vf p = __builtin_shufflevector(u0, u1, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
         + __builtin_shufflevector(u0, u1, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    vf q = __builtin_shufflevector(u2, u3, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
         + __builtin_shufflevector(u2, u3, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    return __builtin_shufflevector(p, q, 0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30)
         + __builtin_shufflevector(p, q, 1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31);
}

/// Weights to be used next, fetched a little at every step of the tiles that still work on the present ones.
struct ahead {
    const char *at, *end;   // next line to fetch; where the weights of this call end
    size_t step;            // bytes to move on at a step
    const char *until;
    bool far;               // too much for the first-level cache: fetch into the second
};
/// The `bytes` from p on, in `steps` equal steps.
INLINE struct ahead ahead_of(const char *p, const char *end, size_t bytes, size_t steps) {
    if (p > end) p = end;
    return (struct ahead){p, end, bytes / (steps ? steps : 1) + 1, p, bytes > 16384};
}
INLINE void ahead_step(struct ahead *a) {
    a->until = a->until + a->step < a->end ? a->until + a->step : a->end;
    if (a->far) for (; a->at < a->until; a->at += 64) __builtin_prefetch(a->at, 0, 2);
    else for (; a->at < a->until; a->at += 64) __builtin_prefetch(a->at, 0, 3);
}
/// How far ahead of its use a weight is fetched when nothing is read twice.
#define AHEAD_BYTES 6144
/// At least so far ahead when each weight meets several tiles: enough lines in flight while those compute.
#define AHEAD_GROUPS_BYTES 12288

// ---- 16-bit floats ----

INLINE vf vf_from_bf16(vh h) { return (vf)(__builtin_convertvector(h, vu) << 16); }
INLINE vf vf_from_f16(vh h) {
#if NT_LEVEL >= 2
    return (vf)_mm512_cvtph_ps((__m256i)h);
#elif NT_LEVEL == 1
    vf8 lo = (vf8)_mm256_cvtph_ps(_mm256_castsi256_si128((__m256i)h));
    vf8 hi = (vf8)_mm256_cvtph_ps(_mm256_extracti128_si256((__m256i)h, 1));
    return __builtin_shufflevector(lo, hi, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#else
    vu w = __builtin_convertvector(h, vu), sign = (w & 0x8000u) << 16, body = (w & 0x7fffu) << 13;
    vf scaled = (vf)body * vf_set(0x1p112f);                   // rebias the exponent; subnormals come out right
    vi special = (vi)(body) >= vi_set(0x0f800000);             // exponent 31: infinity or NaN
    return (vf)((vu)vf_select(special, (vf)(body | 0x7f800000u), scaled) | sign);
#endif
}
/// Round to nearest even; NaN stays a (quiet) NaN. One formula at every level.
INLINE vh vh_bf16_from(vf x) {
    vu b = (vu)x, r = (b + 0x7fffu + ((b >> 16) & 1u)) >> 16;
    vu nan = (b >> 16) | 0x40u;
    vi is_nan = x != x;
    vu out = (r & ~(vu)is_nan) | (nan & (vu)is_nan);
    return __builtin_convertvector(out, vh);
}
/// The same but for subnormals, which the instruction flushes to zero: for activations and probabilities.
INLINE vh vh_bf16_fast(vf x) {
#if NT_LEVEL >= 3
    return (vh)_mm512_cvtneps_pbh((__m512)x);
#else
    return vh_bf16_from(x);
#endif
}
INLINE vh vh_f16_from(vf x) {
#if NT_LEVEL >= 2
    return (vh)_mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif NT_LEVEL == 1
    __m256 lo = (__m256)__builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7);
    __m256 hi = (__m256)__builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15);
    return (vh)_mm256_set_m128i(_mm256_cvtps_ph(hi, _MM_FROUND_TO_NEAREST_INT), _mm256_cvtps_ph(lo, _MM_FROUND_TO_NEAREST_INT));
#else
    vu b = (vu)x, sign = (b >> 16) & 0x8000u, mag = b & 0x7fffffffu;
    vu normal = (mag - 0x38000000u + 0xfffu + ((mag >> 13) & 1u)) >> 13;         // rebias, round to nearest even
    vu subnormal = (vu)((vf)mag + vf_set(0.5f)) - 0x3f000000u;                     // the adder rounds at 2^-24
    vi small = (vi)mag < vi_set(0x38800000), large = (vi)mag >= vi_set(0x47800000), nan = (vi)mag > vi_set(0x7f800000);
    vu out = (vu)vf_select(small, (vf)subnormal, (vf)normal);
    out = (vu)vf_select(large, (vf)(vu)vi_set(0x7c00), (vf)out);
    out = (vu)vf_select(nan, (vf)(0x7e00u | ((mag >> 13) & 0x3ffu)), (vf)out);
    return __builtin_convertvector(out | sign, vh);
#endif
}

// ---- dot products ----

/// acc + dot of two pairs of bf16 in each lane.
INLINE vf vf_dot_bf16(vf acc, vi a, vi b) {
#if NT_LEVEL >= 3
    return (vf)_mm512_dpbf16_ps((__m512)acc, (__m512bh)a, (__m512bh)b);
#else
    acc = vf_fma((vf)(a << 16), (vf)(b << 16), acc);
    return vf_fma((vf)(a & (int32_t)0xffff0000), (vf)(b & (int32_t)0xffff0000), acc);
#endif
}

#if NT_LEVEL == 1
INLINE vi vi_from_halves(__m256i lo, __m256i hi) {
    return __builtin_shufflevector((vi8)lo, (vi8)hi, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
#define LOW_HALF(v) ((__m256i)__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7))
#define HIGH_HALF(v) ((__m256i)__builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15))
INLINE __m256i dot_u8s8_256(__m256i acc, __m256i u, __m256i s) {
    return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(u, s), _mm256_set1_epi16(1)));
}
#endif

/// acc + dot of four unsigned with four signed bytes in each lane, exact. u must be at most 127 (`vi_dot_u8s8` below
/// takes all of 0...255): AVX2 would saturate otherwise.
INLINE vi vi_dot_u7s8(vi acc, vi u, vi s) {
#if NT_LEVEL >= 2
    return (vi)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)u, (__m512i)s);
#elif NT_LEVEL == 1
    return vi_from_halves(dot_u8s8_256(LOW_HALF(acc), LOW_HALF(u), LOW_HALF(s)),
                          dot_u8s8_256(HIGH_HALF(acc), HIGH_HALF(u), HIGH_HALF(s)));
#else
    acc += (u & 0xff) * (s << 24 >> 24);
    acc += (u >> 8 & 0xff) * (s << 16 >> 24);
    acc += (u >> 16 & 0xff) * (s << 8 >> 24);
    return acc + (vi)((vu)u >> 24) * (s >> 24);
#endif
}
/// The same for codes u = w + 128, w signed: returns acc + dot(w, s) + 128 * BIASED * sum(s), see `Q8_CODE_BIAS`.
/// With VNNI the bias of 128 stays in the sum (subtract it by the known sum of s); elsewhere it is gone already.
#if NT_LEVEL >= 2
#define Q8_CODE_BIAS 128
#else
#define Q8_CODE_BIAS 0
#endif
INLINE vi vi_dot_biased(vi acc, vi u, vi s) {
#if NT_LEVEL >= 2
    return vi_dot_u7s8(acc, u, s);
#elif NT_LEVEL == 1
    vi w = u ^ (int32_t)0x80808080;
    __m256i w0 = LOW_HALF(w), w1 = HIGH_HALF(w);               // |w| <= 128, |s| <= 127: pairs stay below 2^15
    __m256i lo = dot_u8s8_256(LOW_HALF(acc), _mm256_abs_epi8(w0), _mm256_sign_epi8(LOW_HALF(s), w0));
    __m256i hi = dot_u8s8_256(HIGH_HALF(acc), _mm256_abs_epi8(w1), _mm256_sign_epi8(HIGH_HALF(s), w1));
    return vi_from_halves(lo, hi);
#else
    vi w = u ^ (int32_t)0x80808080;
    acc += (w << 24 >> 24) * (s << 24 >> 24);
    acc += (w << 16 >> 24) * (s << 16 >> 24);
    acc += (w << 8 >> 24) * (s << 8 >> 24);
    return acc + (w >> 24) * (s >> 24);
#endif
}
