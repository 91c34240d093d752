// y = x Wᵀ over row-major weights [n, k], read in place.
//
// Each output is one dot product along k: one 16-lane accumulator, steps of 16 (f32 x) or 32 (bf16 pairs), then the one
// reduction tree of simd.h. A tile of MR x NR outputs only shares loads, so an output's bits do not depend on the tile.

/// Writes the sums of an MR x NR tile (NR = 4, or less) to y, adding bias and, if asked, what y holds.
INLINE void tile_store(const int MR, const int NR, vf acc[4][4], const nt_linear_args *a, size_t m, size_t n) {
    float sums[16];
    if (NR == 4 && NT_LEVEL >= 2) {
        vf u[4];
#pragma clang loop unroll(full)
        for (int j = 0; j < 4; j++)
            u[j] = vf_sum4(acc[0][j], acc[MR > 1 ? 1 : 0][j], acc[MR > 2 ? 2 : 0][j], acc[MR > 3 ? 3 : 0][j]);
        vf_store(sums, vf_sum16(u[0], u[1], u[2], u[3]));
    } else {
        for (int i = 0; i < MR; i++)
            for (int j = 0; j < NR; j++) sums[4 * i + j] = vf_sum(acc[i][j]);
    }
    for (int i = 0; i < MR; i++) {
        float *y = a->y + (m + i) * a->y_stride + n;
        for (int j = 0; j < NR; j++) {
            float v = sums[4 * i + j];
            if (a->bias) v += a->bias[n + j];
            y[j] = a->accumulate ? y[j] + v : v;
        }
    }
}

INLINE vf load_w_f32(const char *p) { return vf_load(p); }
INLINE vf load_w_f16(const char *p) { return vf_from_f16(vh_load(p)); }
INLINE vf load_w_bf16(const char *p) { return vf_from_bf16(vh_load(p)); }
INLINE vf load_n_f32(const char *p, size_t n) { return vf_load_n(p, n); }
INLINE vf load_n_f16(const char *p, size_t n) { return vf_from_f16(vh_load_n(p, n)); }
INLINE vf load_n_bf16(const char *p, size_t n) { return vf_from_bf16(vh_load_n(p, n)); }
/// Thirty-two bf16 as 16 pairs; the tail with zeros.
INLINE vi load_w_pairs(const char *p) { return vi_load(p); }
INLINE vi load_n_pairs(const char *p, size_t n) {
#if NT_LEVEL >= 2
    return (vi)_mm512_maskz_loadu_epi16((__mmask32)((1ull << n) - 1), p);
#else
    vi v = {0}; __builtin_memcpy(&v, p, n * 2); return v;
#endif
}
INLINE vf mac_f32(vf acc, vf x, vf w) { return vf_fma(x, w, acc); }

/// One tile of MR rows of x and NR rows of w. NAME: x element bytes XB, w element bytes WB, lanes STEP, vector type V.
#define ROW_TILE(NAME, V, STEP, XB, WB, LOAD_X, LOAD_XN, LOAD_W, LOAD_WN, MAC)                                         \
    INLINE void NAME##_tile(const int MR, const int NR, const nt_linear_args *a, size_t ws, size_t m, size_t n) {      \
        const char *x = (const char *)a->x + m * a->x_stride, *w = (const char *)a->w + n * ws;                        \
        size_t xs = a->x_stride, k = a->k, i = 0;                                                                      \
        vf acc[4][4];                                                                                                  \
        _Pragma("clang loop unroll(full)") for (int r = 0; r < MR; r++)                                                \
            _Pragma("clang loop unroll(full)") for (int j = 0; j < NR; j++) acc[r][j] = vf_set(0);                     \
        for (; i + STEP <= k; i += STEP) {                                                                             \
            V wv[4];                                                                                                   \
            _Pragma("clang loop unroll(full)") for (int j = 0; j < NR; j++) wv[j] = LOAD_W(w + j * ws + i * WB);       \
            _Pragma("clang loop unroll(full)") for (int r = 0; r < MR; r++) {                                          \
                V xv = LOAD_X(x + r * xs + i * XB);                                                                    \
                _Pragma("clang loop unroll(full)") for (int j = 0; j < NR; j++) acc[r][j] = MAC(acc[r][j], xv, wv[j]); \
            }                                                                                                          \
        }                                                                                                              \
        if (i < k) {                                                                                                   \
            V wv[4];                                                                                                   \
            _Pragma("clang loop unroll(full)") for (int j = 0; j < NR; j++) wv[j] = LOAD_WN(w + j * ws + i * WB, k - i); \
            _Pragma("clang loop unroll(full)") for (int r = 0; r < MR; r++) {                                          \
                V xv = LOAD_XN(x + r * xs + i * XB, k - i);                                                            \
                _Pragma("clang loop unroll(full)") for (int j = 0; j < NR; j++) acc[r][j] = MAC(acc[r][j], xv, wv[j]); \
            }                                                                                                          \
        }                                                                                                              \
        tile_store(MR, NR, acc, a, m, n);                                                                              \
    }                                                                                                                  \
    KERNEL void NAME##_4x4(const nt_linear_args *a, size_t ws, size_t m, size_t n) { NAME##_tile(4, 4, a, ws, m, n); } \
    KERNEL void NAME##_3x4(const nt_linear_args *a, size_t ws, size_t m, size_t n) { NAME##_tile(3, 4, a, ws, m, n); } \
    KERNEL void NAME##_2x4(const nt_linear_args *a, size_t ws, size_t m, size_t n) { NAME##_tile(2, 4, a, ws, m, n); } \
    KERNEL void NAME##_1x4(const nt_linear_args *a, size_t ws, size_t m, size_t n) { NAME##_tile(1, 4, a, ws, m, n); } \
    KERNEL void NAME##_1x1(const nt_linear_args *a, size_t ws, size_t m, size_t n) { NAME##_tile(1, 1, a, ws, m, n); } \
    KERNEL void NAME(const nt_linear_args *a) {                                                                        \
        rows_drive(a, WB, NAME##_4x4, NAME##_3x4, NAME##_2x4, NAME##_1x4, NAME##_1x1);                                 \
    }

typedef void row_tile(const nt_linear_args *, size_t ws, size_t m, size_t n);

/// Rows of x in blocks that stay in the second-level cache; inside one, four rows of w at a time meet all of it.
INLINE void rows_drive(const nt_linear_args *a, size_t w_bytes, row_tile *t44, row_tile *t34, row_tile *t24, row_tile *t14, row_tile *t11) {
    size_t ws = a->w_stride ? a->w_stride : a->k * w_bytes;
    size_t rows = 393216 / (a->x_stride + 1) / 4 * 4;
    if (rows < 16) rows = 16;
    for (size_t m0 = 0; m0 < a->m; m0 += rows) {
        size_t m1 = m0 + rows < a->m ? m0 + rows : a->m, n = a->n_begin;
        for (; n + 4 <= a->n_end; n += 4) {
            size_t m = m0;
            struct ahead next = ahead_of((const char *)a->w + (n + 4) * ws, n + 8 <= a->n_end ? 4 * ws : 0, (m1 - m0 + 3) / 4);
            for (; m + 4 <= m1; m += 4) {
                ahead_fetch(&next);
                t44(a, ws, m, n);
            }
            if (m1 - m > 1) ahead_fetch(&next);
            if (m1 - m == 3) t34(a, ws, m, n);
            else if (m1 - m == 2) t24(a, ws, m, n);
            else if (m1 - m == 1) t14(a, ws, m, n);
        }
        for (; n < a->n_end; n++)
            for (size_t m = m0; m < m1; m++) t11(a, ws, m, n);
    }
}

ROW_TILE(rows_f32_f32, vf, 16, 4, 4, load_w_f32, load_n_f32, load_w_f32, load_n_f32, mac_f32)
ROW_TILE(rows_f32_f16, vf, 16, 4, 2, load_w_f32, load_n_f32, load_w_f16, load_n_f16, mac_f32)
ROW_TILE(rows_f32_bf16, vf, 16, 4, 2, load_w_f32, load_n_f32, load_w_bf16, load_n_bf16, mac_f32)
ROW_TILE(rows_bf16_bf16, vi, 32, 2, 2, load_w_pairs, load_n_pairs, load_w_pairs, load_n_pairs, vf_dot_bf16)

static void linear_rows(const nt_linear_args *a) {
    if (a->x_type == NT_ACT_BF16) {
        if (a->w_type == NT_BF16) rows_bf16_bf16(a);
    } else if (a->x_type == NT_ACT_F32) {
        if (a->w_type == NT_F32) rows_f32_f32(a);
        else if (a->w_type == NT_F16) rows_f32_f16(a);
        else if (a->w_type == NT_BF16) rows_f32_bf16(a);
    }
}
