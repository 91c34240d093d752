// y = x Wᵀ over rows of block types as the file stores them: 16 rows at a time are expanded into codes and scales of 16
// (expand.h), a super-block long for few rows of x, a whole panel for many. Lane r of every vector is weight row r; an
// output is the fused sum over groups of 16 in rising order, however the panel was cut and whatever rows x has.

#define EXPANDED_FEW 8          // rows of x that take the panel a super-block at a time
#define EXPANDED_BLOCKS 8       // blocks of 32 in a super-block

/// Eight elements of 16 rows, as the expansion has them, in two groups of four.
INLINE void load_eight(const uint8_t *codes, vi *low, vi *high) {
    vi a = vi_load(codes), b = vi_load(codes + 64);
    *low = __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    *high = __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}

/// Blocks b0..<b1 of x, rows m..<m + MR, against codes and scales that begin at block b0, added to acc.
INLINE void expanded_q8_tile(const int MR, const nt_linear_args *a, size_t m, const uint8_t *codes, const float *scales,
                             size_t b0, size_t b1, vf *state) {
    const struct q8_layout q = q8_layout(a->k);
    const char *x = (const char *)a->x + m * a->x_stride;
    const size_t xs = a->x_stride;
    vf acc[8];
#pragma clang loop unroll(full)
    for (int r = 0; r < MR; r++) acc[r] = state[r];
    for (size_t b = b0; b < b1; b++, codes += 512, scales += 32) {
        vf xd[8];
        const char *xb = x + 32 * b;
#pragma clang loop unroll(full)
        for (int r = 0; r < MR; r++) xd[r] = vf_set(load_f32(x + r * xs + q.scales + 4 * b));
#pragma clang loop unroll(full)
        for (int half = 0; half < 2; half++) {
            vi dot[8];
#pragma clang loop unroll(full)
            for (int r = 0; r < MR; r++) {
                if (Q8_CODE_BIAS == 0) { dot[r] = vi_set(0); continue; }
                int32_t last = load_i32(x + r * xs + q.halves + 4 * b);      // sums are stored negated
                dot[r] = vi_set((half ? last : load_i32(x + r * xs + q.sums + 4 * b) - last) * Q8_CODE_BIAS);
            }
#pragma clang loop unroll(full)
            for (int g = 0; g < 2; g++) {
                vi low, high;
                load_eight(codes + 256 * half + 128 * g, &low, &high);
                const char *xg = xb + 16 * half + 8 * g;
#pragma clang loop unroll(full)
                for (int r = 0; r < MR; r++) dot[r] = vi_dot_biased(dot[r], low, vi_splat_load(xg + r * xs));
#pragma clang loop unroll(full)
                for (int r = 0; r < MR; r++) dot[r] = vi_dot_biased(dot[r], high, vi_splat_load(xg + r * xs + 4));
            }
            vf d = vf_load(scales + 16 * half);
#pragma clang loop unroll(full)
            for (int r = 0; r < MR; r++) acc[r] = vf_fma(vf_from_i(dot[r]), d * xd[r], acc[r]);
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < MR; r++) state[r] = acc[r];
}

/// The same for f32 x: codes times x summed over 16 elements, then times their scale.
INLINE void expanded_f32_tile(const int MR, const nt_linear_args *a, size_t m, const uint8_t *codes, const float *scales,
                              size_t b0, size_t b1, vf *state) {
    const char *x = (const char *)a->x + m * a->x_stride;
    const size_t xs = a->x_stride;
    vf acc[8];
#pragma clang loop unroll(full)
    for (int r = 0; r < MR; r++) acc[r] = state[r];
    for (size_t group = 2 * b0; group < 2 * b1; group++, codes += 256, scales += 16) {
        vf sum[8];
#pragma clang loop unroll(full)
        for (int r = 0; r < MR; r++) sum[r] = vf_set(0);
        for (int g = 0; g < 2; g++) {
            vi four[2];
            load_eight(codes + 128 * g, &four[0], &four[1]);
            const char *xg = x + 4 * (16 * group + 8 * (size_t)g);
#pragma clang loop unroll(full)
            for (int j = 0; j < 8; j++) {
                vf value = vf_from_i((four[j / 4] ^ (int32_t)0x80808080) << (24 - 8 * (j % 4)) >> 24);
#pragma clang loop unroll(full)
                for (int r = 0; r < MR; r++) sum[r] = vf_fma(value, vf_set(load_f32(xg + r * xs + 4 * j)), sum[r]);
            }
        }
        vf d = vf_load(scales);
#pragma clang loop unroll(full)
        for (int r = 0; r < MR; r++) acc[r] = vf_fma(sum[r], d, acc[r]);
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < MR; r++) state[r] = acc[r];
}

typedef void expanded_tile(const nt_linear_args *, size_t m, const uint8_t *codes, const float *scales, size_t b0, size_t b1, vf *state);
#define EXPANDED_TILE(name, MR)                                                                                           \
    KERNEL void name##_##MR(const nt_linear_args *a, size_t m, const uint8_t *c, const float *s, size_t b0, size_t b1, vf *v) { \
        name##_tile(MR, a, m, c, s, b0, b1, v);                                                                           \
    }
EXPANDED_TILE(expanded_q8, 8)
EXPANDED_TILE(expanded_q8, 4)
EXPANDED_TILE(expanded_q8, 2)
EXPANDED_TILE(expanded_q8, 1)
EXPANDED_TILE(expanded_f32, 8)
EXPANDED_TILE(expanded_f32, 4)
EXPANDED_TILE(expanded_f32, 2)
EXPANDED_TILE(expanded_f32, 1)

/// Tiles of 8 (4 where registers are few), 4, 2 and 1 rows over the rows m0..<m1 of x; state[0] belongs to row m0.
INLINE void expanded_rows(const nt_linear_args *a, expanded_tile *const *tiles, size_t m0, size_t m1, const uint8_t *codes,
                          const float *scales, size_t b0, size_t b1, vf *state) {
    for (size_t m = m0; m < m1;) {
        int i = NT_LEVEL >= 2 && m1 - m >= 8 ? 3 : m1 - m >= 4 ? 2 : m1 - m >= 2 ? 1 : 0;
        tiles[i](a, m, codes, scales, b0, b1, state + (m - m0));
        m += (size_t)1 << i;
    }
}

static void linear_expanded(const nt_linear_args *a) {
    static expanded_tile *const q8[] = {expanded_q8_1, expanded_q8_2, expanded_q8_4, expanded_q8_8};
    static expanded_tile *const f32[] = {expanded_f32_1, expanded_f32_2, expanded_f32_4, expanded_f32_8};
    if ((a->x_type != NT_ACT_Q8 && a->x_type != NT_ACT_F32) || !a->scratch) return;
    expanded_tile *const *tiles = a->x_type == NT_ACT_Q8 ? q8 : f32;
    const size_t elements = nt_block_elements(a->w_type), blocks = a->k / 32, row_bytes = a->w_stride ? a->w_stride : nt_row_bytes(a->w_type, a->k);
    const size_t step = a->m <= EXPANDED_FEW ? EXPANDED_BLOCKS : blocks;
    uint8_t *codes = a->scratch;
    float *scales = (float *)(void *)(codes + 512 * min_size(step, blocks));
    for (size_t p = a->n_begin / 16; 16 * p < a->n_end; p++) {
        const char *rows = (const char *)a->w + 16 * p * row_bytes;
        vf state[EXPANDED_FEW];
        for (int r = 0; r < EXPANDED_FEW; r++) state[r] = vf_set(0);
        for (size_t b0 = 0, b1; b0 < blocks; b0 = b1) {
            b1 = min_size(b0 + step, blocks);
            nt_expand_panel(a->w_type, rows, row_bytes, min_size(16, a->n - 16 * p), 32 * b0 / elements, 32 * (b1 - b0) / elements, codes, scales);
            if (a->m <= EXPANDED_FEW) { expanded_rows(a, tiles, 0, a->m, codes, scales, b0, b1, state); continue; }
            for (size_t m = 0; m < a->m; m += EXPANDED_FEW) {
                size_t m1 = min_size(m + EXPANDED_FEW, a->m);
                for (int r = 0; r < EXPANDED_FEW; r++) state[r] = vf_set(0);
                expanded_rows(a, tiles, m, m1, codes, scales, b0, b1, state);
                for (size_t r = m; r < m1; r++) panel_store(a, r, p, state[r - m]);
            }
        }
        if (a->m <= EXPANDED_FEW) for (size_t r = 0; r < a->m; r++) panel_store(a, r, p, state[r]);
    }
}
