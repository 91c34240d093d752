// Attention over rows of latents that are key and value of every head (layout in include/nt_attention.h), on the rows, softmax and
// states of attention.h.
//
// A score sums along the row, 32 (or 16) elements a step, so a cached row is read as it lies; values want two positions' elements side
// by side, which one permutation of two rows in registers gives. Neither needs a copy of the cache in another order.

#define LAT_ROWS 32         // rows that pass over a split while it is in the second-level cache
#define LAT_QUAD 4

typedef uint16_t vw32 __attribute__((vector_size(64)));

/// `steps` steps of q · k for 4 rows and P positions, onto acc. Paired: 32 elements a step, else 16.
INLINE void lat_dot(const int P, const nt_kv_type type, const bool paired, size_t steps, const char *q, size_t q_row, const char *k,
                    size_t k_row, vf acc[LAT_QUAD][LAT_QUAD]) {
    const size_t step = kv_element(type) * (paired ? 32 : 16);
    for (size_t d = 0; d < steps; d++) {
        vf key[LAT_QUAD];
#pragma clang loop unroll(full)
        for (int p = 0; p < P; p++) {
            const char *at = k + (size_t)p * k_row + d * step;
            key[p] = paired ? (vf)kv_pairs(type, at) : type == NT_KV_BF16 ? vf_from_bf16(vh_load(at)) : kv_floats(type, at);
        }
#pragma clang loop unroll(full)
        for (int r = 0; r < LAT_QUAD; r++) {
            vf x = vf_load(q + (size_t)r * q_row + 64 * d);
#pragma clang loop unroll(full)
            for (int p = 0; p < P; p++) acc[r][p] = paired ? vf_dot_bf16(acc[r][p], (vi)x, (vi)key[p]) : vf_fma(x, key[p], acc[r][p]);
        }
    }
}

/// Scores of 4 rows with 16 positions from k on. scales: of those positions, where the type has them.
INLINE void lat_scores(const nt_kv_type type, const struct latent_page *page, const char *q, size_t q_row, const char *k,
                       const float *scales, float *scores) {
    const bool paired = kv_is_paired(type);
    const nt_kv_type rotary = kv_is_scaled(type) ? NT_KV_BF16 : type;
    const size_t per_step = paired ? 32 : 16, first = page->dims / per_step, q_rotary = first * 64;
    const int P = NT_LEVEL >= 2 ? LAT_QUAD : 1;
    for (size_t j = 0; j < 16; j += LAT_QUAD) {
        vf sum[LAT_QUAD];
#pragma clang loop unroll(full)
        for (int from = 0; from < LAT_QUAD; from += P) {
            vf acc[LAT_QUAD][LAT_QUAD];
#pragma clang loop unroll(full)
            for (int r = 0; r < LAT_QUAD; r++)
#pragma clang loop unroll(full)
                for (int p = 0; p < P; p++) acc[r][p] = vf_set(0);
            const char *row = k + (j + (size_t)from) * page->row;
            lat_dot(P, type, paired, first, q, q_row, row, page->row, acc);
            if (kv_is_scaled(type))
#pragma clang loop unroll(full)
                for (int p = 0; p < P; p++) {
                    vf scale = vf_set(scales[j + (size_t)(from + p)] * f8_rest(type));
#pragma clang loop unroll(full)
                    for (int r = 0; r < LAT_QUAD; r++) acc[r][p] *= scale;
                }
            lat_dot(P, rotary, paired, page->rotary_dims / per_step, q + q_rotary, q_row, row + page->rotary, page->row, acc);
#pragma clang loop unroll(full)
            for (int p = 0; p < P; p++) sum[from + p] = vf_sum4(acc[0][p], acc[1][p], acc[2][p], acc[3][p]);
        }
        vf all = vf_sum16(sum[0], sum[1], sum[2], sum[3]);     // group r, lane j
#pragma clang loop unroll(full)
        for (int r = 0; r < LAT_QUAD; r++) {
            vf4 four = {all[4 * r], all[4 * r + 1], all[4 * r + 2], all[4 * r + 3]};
            __builtin_memcpy(scores + r * ATT_TILE + j, &four, 16);
        }
    }
}

/// acc of R rows, N times 32 dims: scaled by factor, then + p V over the tile's vectors begin..<end. As att_values.
INLINE void lat_values(const int R, const int N, const nt_kv_type type, size_t row_bytes, size_t begin, size_t end, size_t count,
                       const char *p, const char *const *values, size_t dim, const float *factors, float *state, size_t state_floats) {
    vf acc[ATT_ROWS][4];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < 2 * N; v++) acc[r][v] = vf_load(state + r * state_floats + dim + 16 * v) * vf_set(factors[r]);
    const bool paired = kv_is_paired(type);
    const size_t pair = paired ? 2 : 1, element = kv_element(type);
    for (size_t g = begin; g < end; g++) {
        const char *row = values[g] + dim * element;
        size_t n = count - 16 * g < 16 ? count - 16 * g : 16;
        for (size_t j = 0; j < n; j += pair, row += pair * row_bytes) {
            vf value[4];
#pragma clang loop unroll(full)
            for (int v = 0; v < N; v++) {
                const char *at = row + 32 * element * (size_t)v;
                if (paired) {
                    vw32 x = (vw32)kv_pairs(type, at), y = j + 1 < n ? (vw32)kv_pairs(type, at + row_bytes) : (vw32)vi_set(0);
                    value[2 * v] = (vf)__builtin_shufflevector(x, y, 0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39,
                                                               8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47);
                    value[2 * v + 1] = (vf)__builtin_shufflevector(x, y, 16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55,
                                                                   24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63);
                } else {
                    value[2 * v] = kv_floats(type, at);
                    value[2 * v + 1] = kv_floats(type, at + 16 * element);
                }
            }
            size_t at = paired ? 8 * g + j / 2 : 16 * g + j, width = ATT_TILE / pair;
#pragma clang loop unroll(full)
            for (int r = 0; r < R; r++) {
                vi x = vi_splat_load(p + 4 * ((size_t)r * width + at));
#pragma clang loop unroll(full)
                for (int v = 0; v < 2 * N; v++)
                    acc[r][v] = paired ? vf_dot_bf16(acc[r][v], x, (vi)value[v]) : vf_fma((vf)x, value[v], acc[r][v]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < 2 * N; v++) vf_store(state + r * state_floats + dim + 16 * v, acc[r][v]);
}

/// R rows over one split, as att_block.
INLINE void lat_block(const int R, const nt_kv_type type, const nt_attention_args *a, const struct att_row *rows, size_t split,
                      float *state, char *scratch) {
    const size_t floats = att_state_floats(a), rank = a->cache.v_dim, rotary = a->cache.k_dim - rank;
    const struct latent_page page = latent_page(&a->cache);
    const struct att_span span = att_span(rows, (size_t)R, split);
    if (span.from >= span.to) return;

    float *scores = (float *)scratch;                          // [ATT_ROWS][ATT_TILE]
    uint16_t *narrow = (uint16_t *)(scores + ATT_ROWS * ATT_TILE);
    char *q = (char *)(narrow + ATT_ROWS * ATT_TILE);           // [R, rounded up to 4][dims, rotary_dims] f32 or bf16, times scale
    const size_t unit = kv_is_paired(type) ? 2 : 4, q_row = (page.dims + page.rotary_dims) * unit;
    const int padded = (R + LAT_QUAD - 1) / LAT_QUAD * LAT_QUAD;
    __builtin_memset(q, 0, (size_t)padded * q_row);
    const float raise = kv_is_scaled(type) && kv_is_paired(type) ? F8_RAISE : 1;
    for (int r = 0; r < R; r++) {
        char *to = q + (size_t)r * q_row;
        att_query(type, a->q + rows[r].token * a->q_stride + rows[r].head * rank, rank, a->scale * raise, to);
        att_query(type, a->q_rotary + rows[r].token * a->q_rotary_stride + rows[r].head * a->q_rotary_head, rotary, a->scale, to + page.dims * unit);
    }

    const int VR = NT_LEVEL >= 2 || R < 2 ? R : 2, N = NT_LEVEL >= 2 && R <= 4 ? 2 : 1;
    for (size_t tile = span.from / ATT_TILE * ATT_TILE; tile < span.to; tile += ATT_TILE) {
        const size_t begin = span.from > tile ? (span.from - tile) / 16 : 0, end = (min_size(span.to - tile, ATT_TILE) + 15) / 16;
        const char *keys[ATT_VECTORS];
        const float *scales[ATT_VECTORS];
        for (size_t g = begin; g < end; g++) {
            const char *base = att_page(a, tile + 16 * g);
            size_t at = (tile + 16 * g) % a->cache.block_size;
            keys[g] = base + at * page.row;
            scales[g] = (const float *)(base + page.scales) + at;   // not read where the type has none
            for (int r = 0; r < R; r += LAT_QUAD)
                lat_scores(type, &page, q + (size_t)r * q_row, q_row, keys[g], scales[g], scores + r * ATT_TILE + 16 * g);
        }
        float factors[ATT_ROWS];
        for (int r = 0; r < R; r++) {
            float *own = state + (size_t)r * floats + page.dims;
            factors[r] = att_softmax(a, type, &rows[r], tile, begin, end, 0, scales, scores + r * ATT_TILE, narrow + r * ATT_TILE, own, own + 1);
        }
        const char *p = kv_is_paired(type) ? (const char *)narrow : (const char *)scores;
        const size_t p_row = ATT_TILE * unit;
        for (int r = 0; r < R; r += VR) {
            size_t dim = 0;
            for (; dim + 32 * N <= page.dims; dim += 32 * N)
                lat_values(VR, N, type, page.row, begin, end, span.to - tile, p + (size_t)r * p_row, keys, dim, factors + r, state + (size_t)r * floats, floats);
            for (; dim < page.dims; dim += 32)
                lat_values(VR, 1, type, page.row, begin, end, span.to - tile, p + (size_t)r * p_row, keys, dim, factors + r, state + (size_t)r * floats, floats);
        }
    }
}

typedef void lat_block_function(const nt_attention_args *, const struct att_row *, size_t, float *, char *);
#define LAT_BLOCK(R, type)                                                                                           \
    KERNEL void lat_##R##_##type(const nt_attention_args *a, const struct att_row *rows, size_t split, float *state, \
                                 char *scratch) { lat_block(R, NT_KV_##type, a, rows, split, state, scratch); }
#define LAT_BLOCKS(type) LAT_BLOCK(1, type) LAT_BLOCK(2, type) LAT_BLOCK(4, type) LAT_BLOCK(8, type)
LAT_BLOCKS(F32)
LAT_BLOCKS(F16)
LAT_BLOCKS(BF16)
LAT_BLOCKS(INT8)
LAT_BLOCKS(E4M3)
LAT_BLOCKS(E5M2)

#define LAT_ENTRIES(type) [NT_KV_##type] = {lat_1_##type, lat_2_##type, lat_4_##type, lat_8_##type}
static lat_block_function *const lat_functions[6][4] = {
    LAT_ENTRIES(F32), LAT_ENTRIES(F16), LAT_ENTRIES(BF16), LAT_ENTRIES(INT8), LAT_ENTRIES(E4M3), LAT_ENTRIES(E5M2),
};

/// Takes the next rows (8, 4, 2 or 1) from `left`.
INLINE size_t lat_take(size_t left) { return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1; }

INLINE void lat_run(const nt_attention_args *a, const struct att_row *rows, size_t count, size_t split, float *state, char *scratch) {
    att_clear(a, state, count);
    lat_functions[a->cache.type][count == 8 ? 3 : count / 2](a, rows, split, state, scratch);
}
