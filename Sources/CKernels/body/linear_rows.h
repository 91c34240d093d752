// y = x Wᵀ over row-major weights [n, k], read in place.
//
// Each output is one dot product along k: one 16-lane accumulator, steps of 16 (f32 x) or 32 (bf16 pairs), then the one
// reduction tree of simd.h. A tile of MR x NR outputs only shares loads, so an output's bits do not depend on the tile.

/// Writes the sums of an MR x NR tile to y, adding bias and, if asked, what y holds.
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

/// Part k0..<k1 of a tile of MR rows of x and NR rows of w. Between parts the accumulators rest in `state`.
typedef struct {
    size_t m, n, k0, k1;
    vf *state;              // [16], read when k0 > 0, written when k1 < k
    struct ahead *next;
} row_part;

/// Kinds of tiles, so that the inner loop carries only what it needs.
enum { FETCHING, PLAIN, IN_PARTS };

/// x element bytes XB, w element bytes WB, STEP elements a vector of type V.
#define UNROLL _Pragma("clang loop unroll(full)")
#define ROW_TILE(NAME, V, STEP, XB, WB, LOAD_X, LOAD_XN, LOAD_W, LOAD_WN, MAC)                                         \
    INLINE void NAME##_tile(const int KIND, const int MR, const int NR, const nt_linear_args *a, size_t ws, const row_part *part) { \
        const row_part t = *part;                                                                                      \
        const char *x = (const char *)a->x + t.m * a->x_stride, *w = (const char *)a->w + t.n * ws;                    \
        size_t xs = a->x_stride, i = t.k0;                                                                             \
        struct ahead fetch = {0};                                                                                      \
        if (KIND == FETCHING) fetch = *t.next;                                                                         \
        vf acc[4][4];                                                                                                  \
        UNROLL for (int r = 0; r < MR; r++)                                                                            \
            UNROLL for (int j = 0; j < NR; j++) acc[r][j] = KIND == IN_PARTS && t.k0 ? t.state[4 * r + j] : vf_set(0);                     \
        for (; i + STEP <= t.k1; i += STEP) {                                                                          \
            V wv[4];                                                                                                   \
            if (KIND == FETCHING) ahead_step(&fetch);                                                                  \
            UNROLL for (int j = 0; j < NR; j++) wv[j] = LOAD_W(w + j * ws + i * WB);                                   \
            UNROLL for (int r = 0; r < MR; r++) {                                                                      \
                V xv = LOAD_X(x + r * xs + i * XB);                                                                    \
                UNROLL for (int j = 0; j < NR; j++) acc[r][j] = MAC(acc[r][j], xv, wv[j]);                             \
            }                                                                                                          \
        }                                                                                                              \
        if (KIND == FETCHING) *t.next = fetch;                                                                         \
        if (KIND == IN_PARTS && t.k1 < a->k) {                                                                         \
            UNROLL for (int r = 0; r < MR; r++)                                                                        \
                UNROLL for (int j = 0; j < NR; j++) t.state[4 * r + j] = acc[r][j];                                    \
            return;                                                                                                    \
        }                                                                                                              \
        if (i < t.k1) {                                                                                                \
            V wv[4];                                                                                                   \
            UNROLL for (int j = 0; j < NR; j++) wv[j] = LOAD_WN(w + j * ws + i * WB, t.k1 - i);                        \
            UNROLL for (int r = 0; r < MR; r++) {                                                                      \
                V xv = LOAD_XN(x + r * xs + i * XB, t.k1 - i);                                                         \
                UNROLL for (int j = 0; j < NR; j++) acc[r][j] = MAC(acc[r][j], xv, wv[j]);                             \
            }                                                                                                          \
        }                                                                                                              \
        tile_store(MR, NR, acc, a, t.m, t.n);                                                                          \
    }                                                                                                                  \
    ROW_TILES(NAME, FETCHING, 0) ROW_TILES(NAME, PLAIN, 1) ROW_TILES(NAME, IN_PARTS, 2)                                \
    static row_tile *const NAME##_tiles[3][5] = {ROW_TABLE(NAME, 0), ROW_TABLE(NAME, 1), ROW_TABLE(NAME, 2)};          \
    KERNEL void NAME(const nt_linear_args *a) { rows_drive(a, STEP, XB, WB, NAME##_tiles); }

#define ROW_TILE_OF(NAME, KIND, I, MR, NR)                                                       \
    KERNEL void NAME##_##I##_##MR##x##NR(const nt_linear_args *a, size_t ws, const row_part *t) { \
        if (NT_LEVEL >= 2 || MR == 1 || NR == 1) { NAME##_tile(KIND, MR, NR, a, ws, t); return; } \
        row_part s = *t;   /* sixteen registers: quarters of the tile, one after another */      \
        size_t step = t->next->step;                                                             \
        t->next->step = step / (MR > 2 ? 4 : 2) + 1;                                             \
        for (int r = 0; r < MR; r += 2)                                                          \
            for (int j = 0; j < NR; j += 2) {                                                    \
                s.m = t->m + (size_t)r;                                                          \
                s.n = t->n + (size_t)j;                                                          \
                s.state = t->state + 4 * r + j;                                                  \
                if (MR - r == 1) NAME##_tile(KIND, 1, 2, a, ws, &s);                             \
                else NAME##_tile(KIND, 2, 2, a, ws, &s);                                         \
            }                                                                                    \
        t->next->step = step;                                                                    \
    }
#define ROW_TILES(NAME, KIND, I)                                                              \
    ROW_TILE_OF(NAME, KIND, I, 1, 1) ROW_TILE_OF(NAME, KIND, I, 1, 4) ROW_TILE_OF(NAME, KIND, I, 2, 4) \
    ROW_TILE_OF(NAME, KIND, I, 3, 4) ROW_TILE_OF(NAME, KIND, I, 4, 4)
#define ROW_TABLE(NAME, I) {NAME##_##I##_1x1, NAME##_##I##_1x4, NAME##_##I##_2x4, NAME##_##I##_3x4, NAME##_##I##_4x4}
typedef void row_tile(const nt_linear_args *, size_t ws, const row_part *part);

#define PART_BYTES 4096      // of one row of x in a part: four rows of w and of x then stay in the first-level cache
#define MAX_TILES 64         // tiles of x whose accumulators can rest

/// x in blocks of rows that stay in the second-level cache; inside one, four rows of w at a time meet all of them, in
/// parts along k when rows are long. Only where the accumulators wait differs, never the order of a sum.
INLINE void rows_drive(const nt_linear_args *a, size_t step, size_t x_bytes, size_t w_bytes, row_tile *const (*tiles)[5]) {
    const size_t ws = a->w_stride ? a->w_stride : a->k * w_bytes;
    size_t rows = 655360 / (a->k * x_bytes + 1) / 4 * 4, part = a->k;
    rows = rows < 16 ? 16 : rows > 4 * MAX_TILES ? 4 * MAX_TILES : rows;
    if (a->m > 4 && a->k * x_bytes > PART_BYTES + PART_BYTES / 2) part = PART_BYTES / x_bytes / step * step;
    vf state[MAX_TILES][16];
    const char *w = a->w, *end = w + a->n_end * ws;
    for (size_t m0 = 0; m0 < a->m; m0 += rows) {
        const size_t m1 = m0 + rows < a->m ? m0 + rows : a->m, count = (m1 - m0 + 3) / 4;
        const int kind = part < a->k ? IN_PARTS : count > 8 ? PLAIN : FETCHING;   // long runs of tiles fetch in between
        struct ahead next = ahead_of(w + a->n_begin * ws + AHEAD_BYTES, end, 4 * ws, a->k / step);
        const size_t lead = 4 * (AHEAD_GROUPS_BYTES / (4 * ws + 1) + 1);
        size_t n = a->n_begin;
        for (; n + 4 <= a->n_end; n += 4) {
            if (count > 1) next = ahead_of(w + (n + lead) * ws, end, 4 * ws, kind == FETCHING ? a->k / step * count : count);
            for (size_t k0 = 0, k1; k0 < a->k || k0 == 0; k0 = k1 ? k1 : 1) {
                k1 = a->k - k0 < part + part / 2 ? a->k : k0 + part;
                for (size_t m = m0, i = 0; m < m1; m += 4, i++) {
                    if (kind != FETCHING && k0 == 0) ahead_step(&next);
                    row_part t = {m, n, k0, k1, state[i], &next};
                    tiles[kind][m1 - m < 4 ? m1 - m : 4](a, ws, &t);
                }
            }
        }
        for (; n < a->n_end; n++)
            for (size_t m = m0; m < m1; m++) {
                row_part t = {m, n, 0, a->k, 0, 0};
                tiles[PLAIN][0](a, ws, &t);
            }
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
