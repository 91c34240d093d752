// Conversions between f32, 16-bit floats and q8 rows, and the writer that fused kernels end in.

INLINE size_t min_size(size_t a, size_t b) { return a < b ? a : b; }

INLINE int32_t vi_sum(vi v) {
    v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
    v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    return v[0] + v[1];
}
INLINE int32_t sum_codes(vsb b, vi wide) {
#if NT_LEVEL >= 1
    (void)wide;
    __m128i s = _mm_sad_epu8(_mm_xor_si128((__m128i)b, _mm_set1_epi8((char)0x80)), _mm_setzero_si128());
    return _mm_cvtsi128_si32(s) + _mm_extract_epi16(s, 4) - 16 * 128;
#else
    (void)b;
    return vi_sum(wide);
#endif
}

/// One block of 32 (zeros behind the row's end) into block b of a q8 row.
INLINE void q8_store_block(char *row, struct q8_layout q, size_t b, vf v0, vf v1) {
    float top = vf_reduce_max(vf_max(vf_abs(v0), vf_abs(v1)));
    float scale = top * (1 / 127.0f), inverse = 127.0f / (top > 0x1p-120f ? top : 0x1p120f);   // no block of zeros divides by 0
    vf magic = vf_set(0x1.8p23f);                              // adding it rounds to the nearest even integer
    vi c0 = (vi)(v0 * vf_set(inverse) + magic) - (vi)magic, c1 = (vi)(v1 * vf_set(inverse) + magic) - (vi)magic;
    vsb b0 = __builtin_convertvector(c0, vsb), b1 = __builtin_convertvector(c1, vsb);
    __builtin_memcpy(row + 32 * b, &b0, 16);
    __builtin_memcpy(row + 32 * b + 16, &b1, 16);
    int32_t last = -sum_codes(b1, c1), sum = last - sum_codes(b0, c0);
    float scaled = scale * (float)-sum;
    __builtin_memcpy(row + q.scales + 4 * b, &scale, 4);
    __builtin_memcpy(row + q.sums + 4 * b, &sum, 4);
    __builtin_memcpy(row + q.halves + 4 * b, &last, 4);
    __builtin_memcpy(row + q.scaled + 4 * b, &scaled, 4);
}

/// Elements i..<i + n (n <= 32, i a multiple of 32) of an output row; lanes from n on are zero.
INLINE void out_store32(const nt_act type, char *row, struct q8_layout q, size_t i, size_t n, vf v0, vf v1) {
    if (type == NT_ACT_Q8) {
        q8_store_block(row, q, i / 32, v0, v1);
    } else if (type == NT_ACT_BF16) {
        char *p = row + 2 * i;
        if (n == 32) { vh_store(p, vh_bf16_fast(v0)); vh_store(p + 32, vh_bf16_fast(v1)); return; }
        vh_store_n(p, vh_bf16_fast(v0), min_size(n, 16));
        if (n > 16) vh_store_n(p + 32, vh_bf16_fast(v1), n - 16);
    } else {
        char *p = row + 4 * i;
        if (n == 32) { vf_store(p, v0); vf_store(p + 64, v1); return; }
        vf_store_n(p, v0, min_size(n, 16));
        if (n > 16) vf_store_n(p + 64, v1, n - 16);
    }
}

/// Elements i..<i + n of an f32 row as two vectors, zeros behind.
INLINE void row_load32(const float *row, size_t i, size_t n, vf *v0, vf *v1) {
    if (n == 32) { *v0 = vf_load(row + i); *v1 = vf_load(row + i + 16); return; }
    *v0 = vf_load_n(row + i, min_size(n, 16));
    *v1 = n > 16 ? vf_load_n(row + i + 16, n - 16) : vf_set(0);
}

static void store_rows(const float *x, size_t x_stride, size_t rows, size_t k, nt_out out) {
    struct q8_layout q = q8_layout(k);
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * x_stride;
        char *to = (char *)out.rows + r * out.stride;
        for (size_t i = 0; i < k; i += 32) {
            vf v0, v1;
            row_load32(in, i, min_size(32, k - i), &v0, &v1);
            out_store32(out.type, to, q, i, min_size(32, k - i), v0, v1);
        }
    }
}

static void quantize_rows_q8(const float *src, size_t src_stride, size_t rows, size_t k, void *dst, size_t dst_stride) {
    store_rows(src, src_stride, rows, k, (nt_out){dst, dst_stride, NT_ACT_Q8});
}

#define CONVERT(NAME, FROM, TO, LOAD, LOAD_N, MAP, STORE, STORE_N)                                     \
    static void NAME(const FROM *src, TO *dst, size_t count) {                                          \
        size_t i = 0;                                                                                   \
        for (; i + 16 <= count; i += 16) STORE(dst + i, MAP(LOAD(src + i)));                             \
        if (i < count) STORE_N(dst + i, MAP(LOAD_N(src + i, count - i)), count - i);                    \
    }
CONVERT(f32_to_bf16, float, uint16_t, vf_load, vf_load_n, vh_bf16_from, vh_store, vh_store_n)
CONVERT(f32_to_f16, float, uint16_t, vf_load, vf_load_n, vh_f16_from, vh_store, vh_store_n)
CONVERT(bf16_to_f32, uint16_t, float, vh_load, vh_load_n, vf_from_bf16, vf_store, vf_store_n)
CONVERT(f16_to_f32, uint16_t, float, vh_load, vh_load_n, vf_from_f16, vf_store, vf_store_n)
