// Flash attention over pages: up to ATT_ROWS query rows (tokens x heads of one kv head) share every load of K and V.
//
// Order of every sum, for each row on its own: splits of NT_KV_SPLIT positions, in a split tiles of ATT_TILE positions
// counted from absolute position 0, in a tile vectors of 16. A vector or tile that a row does not see changes nothing
// in it (p = 0, factor = 1), so rows get the same bits in any company.

#define ATT_TILE 128
#define ATT_VECTORS (ATT_TILE / 16)
#define ATT_ROWS 8

struct att_row {            // one query row of a block
    size_t token, head;
    size_t from, to;        // positions it sees
    float position, slope;
    bool once;              // no other rows of the call read these keys: what comes next is fetched ahead
};

/// State of a row: acc [v_padded], then max and sum; 16 floats for those keep rows aligned.
INLINE size_t att_state_floats(const nt_attention_args *a) { return kv_round(a->cache.v_dim, a->cache.latent ? 32 : 16) + 16; }

INLINE float exp_scalar(float x) { return vf_exp(vf_set(x))[0]; }

/// Query heads of one kv head.
struct att_heads { size_t begin, count, kv; };
INLINE struct att_heads att_heads(const nt_attention_args *a, size_t head_begin, size_t head_end) {
    return (struct att_heads){head_begin, head_end - head_begin, head_begin / (a->heads / a->cache.kv_heads)};
}

INLINE struct att_row att_row(const nt_attention_args *a, struct att_heads heads, size_t token_begin, size_t row) {
    size_t token = token_begin + row / heads.count, head = heads.begin + row % heads.count;
    size_t position = a->first_position + token;
    struct att_row r = {token, head, 0, a->bidirectional ? a->key_count : position + 1, (float)position, 0, false};
    if (a->window && position + 1 > a->window) r.from = position + 1 - a->window;
    if (a->alibi_slopes) r.slope = a->alibi_slopes[head];
    return r;
}

INLINE const char *att_page(const nt_attention_args *a, size_t position) {
    size_t page = (size_t)a->block_table[position / a->cache.block_size];
    return (const char *)a->cache.pages + page * a->cache.page_stride;
}

/// Fetches `bytes` from p on into the second-level cache.
INLINE void att_fetch(const char *p, size_t bytes) {
    for (const char *end = p + bytes; p < end; p += 64) __builtin_prefetch(p, 0, 2);
}

/// Scores of R rows with NG vectors of 16 keys. q: bf16 pairs [R][k_dim / 2] or f32 [R][k_dim]; keys[g] at dim 0.
/// ahead: the same positions' values, `fetch` bytes of which are fetched at each dim (0 for none).
INLINE void att_scores(const int R, const int NG, const nt_kv_type type, size_t k_dim, size_t block, const char *q,
                       const char *const *keys, const char *const *ahead, size_t fetch, float *scores) {
    vf acc[ATT_ROWS][2];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++)
#pragma clang loop unroll(full)
        for (int g = 0; g < NG; g++) acc[r][g] = vf_set(0);
    const bool paired = kv_is_paired(type);
    size_t steps = paired ? k_dim / 2 : k_dim, step = kv_element(type) * (paired ? 2 : 1) * block;
    for (size_t d = 0; d < steps; d++) {
        vf key[2];
        if (fetch)
#pragma clang loop unroll(full)
            for (int g = 0; g < NG; g++) att_fetch(ahead[g] + d * fetch, fetch);
#pragma clang loop unroll(full)
        for (int g = 0; g < NG; g++) key[g] = paired ? (vf)kv_pairs(type, keys[g] + d * step) : kv_floats(type, keys[g] + d * step);
#pragma clang loop unroll(full)
        for (int r = 0; r < R; r++) {
            vi x = vi_splat_load(q + 4 * (r * steps + d));
#pragma clang loop unroll(full)
            for (int g = 0; g < NG; g++)
                acc[r][g] = paired ? vf_dot_bf16(acc[r][g], x, (vi)key[g]) : vf_fma((vf)x, key[g], acc[r][g]);
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++)
#pragma clang loop unroll(full)
        for (int g = 0; g < NG; g++) vf_store(scores + r * ATT_TILE + 16 * g, acc[r][g]);
}

/// acc of R rows, NV vectors of dims: scaled by factor, then + p V over the tile's vectors begin..<end.
/// p: bf16 pairs [R][ATT_TILE / 2] or f32 [R][ATT_TILE]; values[v]: 16 positions at this chunk's first dim.
/// ahead: keys of the next tile, `fetch` bytes of which are fetched at each step (0 for none).
INLINE void att_values(const int R, const int NV, const nt_kv_type type, size_t v_padded, size_t begin, size_t end,
                       size_t count, const char *p, const char *const *values, size_t dim, const float *factors,
                       float *state, size_t state_floats, const char *const *ahead, size_t fetch) {
    vf acc[ATT_ROWS][4];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < NV; v++) acc[r][v] = vf_load(state + r * state_floats + dim + 16 * v) * vf_set(factors[r]);
    const bool paired = kv_is_paired(type);
    const size_t pair = paired ? 2 : 1, element = kv_element(type) * pair, row_bytes = v_padded * element;
    for (size_t g = begin; g < end; g++) {
        const char *row = values[g] + dim * element;
        size_t n = count - 16 * g < 16 ? count - 16 * g : 16;  // positions beyond `count` may hold anything: never used
        for (size_t j = 0; j < n; j += pair, row += row_bytes) {
            vf value[4];
            if (fetch) att_fetch(ahead[g] + j / pair * fetch, fetch);
#pragma clang loop unroll(full)
            for (int v = 0; v < NV; v++) value[v] = paired ? (vf)kv_pairs(type, row + 16 * element * v) : kv_floats(type, row + 16 * element * v);
            if (paired && j + 1 == n)
#pragma clang loop unroll(full)
                for (int v = 0; v < NV; v++) value[v] = (vf)((vi)value[v] & 0xffff);
            size_t at = paired ? 8 * g + j / 2 : 16 * g + j, width = ATT_TILE / pair;
#pragma clang loop unroll(full)
            for (int r = 0; r < R; r++) {
                vi x = vi_splat_load(p + 4 * (r * width + at));
#pragma clang loop unroll(full)
                for (int v = 0; v < NV; v++)
                    acc[r][v] = paired ? vf_dot_bf16(acc[r][v], x, (vi)value[v]) : vf_fma((vf)x, value[v], acc[r][v]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < NV; v++) vf_store(state + r * state_floats + dim + 16 * v, acc[r][v]);
}

/// Softmax step of one row on one tile: scores -> p (same place or bf16), new max and sum; returns the old acc's factor.
/// key_scales, value_scales: of each vector's 16 positions, where the type has them; values' go into p. NULL key_scales are in the scores.
INLINE float att_softmax(const nt_attention_args *a, const nt_kv_type type, const struct att_row *row, size_t tile, size_t begin,
                         size_t end, const float *const *key_scales, const float *const *value_scales, float *scores,
                         uint16_t *narrow, float *max, float *sum) {
    const vf infinity = vf_set(NEGATIVE_INFINITY);
    const vi lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vf top = infinity;
    for (size_t g = begin; g < end; g++) {
        size_t first = tile + 16 * g;
        vf s = vf_load(scores + 16 * g);
        if (kv_is_scaled(type) && key_scales) s *= vf_load(key_scales[g]) * vf_set(f8_rest(type));
        if (a->softcap != 0) s = vf_set(a->softcap) * vf_tanh(s / vf_set(a->softcap));
        vi at = vi_set((int32_t)first) + lanes;
        if (a->alibi_slopes) s += vf_set(row->slope) * (vf_from_i(at) - vf_set(row->position));
        if (first < row->from || first + 16 > row->to)
            s = vf_select((at >= vi_set((int32_t)row->from)) & (at < vi_set((int32_t)row->to)), s, infinity);
        vf_store(scores + 16 * g, s);
        top = vf_max(top, s);
    }
    float old = *max, tile_top = vf_reduce_max(top), now = tile_top > old ? tile_top : old;
    float shift = now == NEGATIVE_INFINITY ? 0 : now;
    vf total = vf_set(0);
    for (size_t g = begin; g < end; g++) {
        vf p = vf_exp(vf_load(scores + 16 * g) - vf_set(shift));
        if (kv_is_scaled(type)) {
            total += p;
            vf scale = vf_load(value_scales[g]);               // beyond the text it may be anything: 0 stays 0
            if (type != NT_KV_INT8) scale *= vf_set(F8_RAISE);
            p = vf_select(p == vf_set(0), p, p * scale);
        }
        if (kv_is_paired(type)) {
            vh h = vh_bf16_fast(p);
            vh_store(narrow + 16 * g, h);
            p = vf_from_bf16(h);
        } else {
            vf_store(scores + 16 * g, p);
        }
        if (!kv_is_scaled(type)) total += p;
    }
    float factor = exp_scalar(old - shift);
    *max = now;
    *sum = *sum * factor + vf_sum(total);
    return factor;
}

/// `count` elements of a query, scaled, as its product with keys of `type` takes them.
INLINE void att_query(const nt_kv_type type, const float *in, size_t count, float scale, char *to) {
    for (size_t d = 0; d < count; d += 16) {
        size_t n = min_size(16, count - d);
        vf x = vf_load_n(in + d, n) * vf_set(scale);
        if (kv_is_paired(type)) vh_store_n(to + 2 * d, vh_bf16_fast(x), n);
        else vf_store_n(to + 4 * d, x, n);
    }
}

/// Positions of a split that any of the rows sees; empty when from >= to.
struct att_span { size_t from, to; };
INLINE struct att_span att_span(const struct att_row *rows, size_t count, size_t split) {
    size_t from = rows[0].from, to = rows[0].to;
    for (size_t r = 1; r < count; r++) {
        from = min_size(from, rows[r].from);
        to = to > rows[r].to ? to : rows[r].to;
    }
    from = from > split * NT_KV_SPLIT ? from : split * NT_KV_SPLIT;
    return (struct att_span){from, min_size(to, (split + 1) * NT_KV_SPLIT)};
}

/// R rows over one split; state rows must be empty before (acc 0, max -inf, sum 0).
INLINE void att_block(const int R, const nt_kv_type type, const nt_attention_args *a, size_t kv_head,
                      const struct att_row *rows, size_t split, float *state, char *scratch) {
    const size_t k_dim = a->cache.k_dim, block = a->cache.block_size, floats = att_state_floats(a);
    const struct kv_page page = kv_page(&a->cache);
    const size_t element = kv_element(type), query_bytes = k_dim * (kv_is_paired(type) ? 2 : 4);
    const struct att_span span = att_span(rows, (size_t)R, split);
    if (span.from >= span.to) return;

    float *scores = (float *)scratch;                          // [ATT_ROWS][ATT_TILE]
    uint16_t *narrow = (uint16_t *)(scores + ATT_ROWS * ATT_TILE);
    char *q = (char *)(narrow + ATT_ROWS * ATT_TILE);           // [R][k_dim] f32 or bf16, times scale
    const float raise = kv_is_scaled(type) && kv_is_paired(type) ? F8_RAISE : 1;
    for (int r = 0; r < R; r++)
        att_query(type, a->q + rows[r].token * a->q_stride + rows[r].head * k_dim, k_dim, a->scale * raise, q + r * query_bytes);

    const int NG = NT_LEVEL >= 2 ? 2 : 1, NV = NT_LEVEL >= 2 ? (R > 4 ? 2 : 4) : (R > 2 ? 1 : 2);
    // Bytes of 16 positions, evenly over the steps that compute before they are needed, in whole lines.
    const size_t key_bytes = page.key_head / block * 16, value_bytes = page.value_head / block * 16;
    const size_t key_steps = k_dim / page.pair, chunks = (page.v_padded + 16 * NV - 1) / (16 * NV), value_steps = 16 / page.pair;
    const size_t value_fetch = rows[0].once ? kv_round((value_bytes + key_steps - 1) / key_steps, 64) : 0;
    const size_t key_fetch = rows[0].once ? kv_round((key_bytes + chunks * value_steps - 1) / (chunks * value_steps), 64) : 0;
    for (size_t tile = span.from / ATT_TILE * ATT_TILE; tile < span.to; tile += ATT_TILE) {
        const size_t begin = span.from > tile ? (span.from - tile) / 16 : 0, end = (min_size(span.to - tile, ATT_TILE) + 15) / 16;
        const char *keys[ATT_VECTORS], *values[ATT_VECTORS], *next[ATT_VECTORS];
        const float *key_scales[ATT_VECTORS], *value_scales[ATT_VECTORS];
        for (size_t g = begin; g < end; g++) {
            const char *base = att_page(a, tile + 16 * g);
            size_t at = (tile + 16 * g) % block;
            keys[g] = base + kv_head * page.key_head + at * element * (kv_is_paired(type) ? 2 : 1);
            values[g] = base + page.values + kv_head * page.value_head + at * page.v_padded * element;
            if (kv_is_scaled(type)) {
                key_scales[g] = (const float *)(base + page.key_scales) + kv_head * block + at;
                value_scales[g] = (const float *)(base + page.value_scales) + kv_head * block + at;
            }
        }
        const size_t after = tile + ATT_TILE;
        for (size_t g = begin; key_fetch && g < end; g++)      // past the end: the last page once more
            next[g] = att_page(a, min_size(after + 16 * g, span.to - 1)) + kv_head * page.key_head + (after + 16 * g) % block / 16 * key_bytes;
        size_t g = begin;
        for (; g + NG <= end; g += NG) att_scores(R, NG, type, k_dim, block, q, keys + g, values + g, value_fetch, scores + 16 * g);
        if (g < end) att_scores(R, 1, type, k_dim, block, q, keys + g, values + g, value_fetch, scores + 16 * g);

        float factors[ATT_ROWS];
        for (int r = 0; r < R; r++) {
            float *own = state + r * floats + page.v_padded;
            factors[r] = att_softmax(a, type, &rows[r], tile, begin, end, key_scales, value_scales, scores + r * ATT_TILE,
                                     narrow + r * ATT_TILE, own, own + 1);
        }
        const char *p = kv_is_paired(type) ? (const char *)narrow : (const char *)scores;
        size_t dim = 0;
        const size_t fetch = after < span.to ? key_fetch : 0;
        for (; dim + 16 * NV <= page.v_padded; dim += 16 * NV) {
            att_values(R, NV, type, page.v_padded, begin, end, span.to - tile, p, values, dim, factors, state, floats, next, fetch);
            for (size_t v = begin; fetch && v < end; v++) next[v] += value_steps * fetch;
        }
        for (; dim < page.v_padded; dim += 16)
            att_values(R, 1, type, page.v_padded, begin, end, span.to - tile, p, values, dim, factors, state, floats, next, 0);
    }
}

typedef void att_block_function(const nt_attention_args *, size_t, const struct att_row *, size_t, float *, char *);
#define ATT_BLOCK(R, type)                                                                                           \
    KERNEL void att_##R##_##type(const nt_attention_args *a, size_t h, const struct att_row *rows, size_t split,     \
                                 float *state, char *scratch) { att_block(R, NT_KV_##type, a, h, rows, split, state, scratch); }
#define ATT_BLOCKS(type) ATT_BLOCK(1, type) ATT_BLOCK(2, type) ATT_BLOCK(3, type) ATT_BLOCK(4, type) ATT_BLOCK(8, type)
ATT_BLOCKS(F32)
ATT_BLOCKS(F16)
ATT_BLOCKS(BF16)
ATT_BLOCKS(INT8)
ATT_BLOCKS(E4M3)
ATT_BLOCKS(E5M2)

#define ATT_ENTRIES(type) [NT_KV_##type] = {att_1_##type, att_2_##type, att_3_##type, att_4_##type, att_8_##type}
static att_block_function *const att_functions[6][5] = {
    ATT_ENTRIES(F32), ATT_ENTRIES(F16), ATT_ENTRIES(BF16), ATT_ENTRIES(INT8), ATT_ENTRIES(E4M3), ATT_ENTRIES(E5M2),
};

INLINE void att_clear(const nt_attention_args *a, float *state, size_t rows) {
    size_t floats = att_state_floats(a);
    __builtin_memset(state, 0, rows * floats * 4);
    for (size_t r = 0; r < rows; r++) state[(r + 1) * floats - 16] = NEGATIVE_INFINITY;
}

/// Takes the next rows (8 where there are 32 registers, 4, 3, 2 or 1) from `left`.
INLINE size_t att_take(size_t left) { return left >= 8 && NT_LEVEL >= 2 ? 8 : left >= 4 ? 4 : left; }

INLINE void att_run(const nt_attention_args *a, size_t kv_head, const struct att_row *rows, size_t count, size_t split,
                    float *state, char *scratch) {
    att_clear(a, state, count);
    att_functions[a->cache.type][count == 8 ? 4 : count - 1](a, kv_head, rows, split, state, scratch);
}

/// into = into merged with next, a later split.
INLINE void att_merge(const nt_attention_args *a, float *into, const float *next) {
    size_t dims = att_state_floats(a) - 16;
    float *m = into + dims;
    const float *n = next + dims;
    if (n[0] == NEGATIVE_INFINITY) return;
    if (m[0] == NEGATIVE_INFINITY) { __builtin_memcpy(into, next, (dims + 16) * 4); return; }
    float top = m[0] > n[0] ? m[0] : n[0], fm = exp_scalar(m[0] - top), fn = exp_scalar(n[0] - top);
    for (size_t d = 0; d < dims; d += 16)
        vf_store(into + d, vf_fma(vf_load(next + d), vf_set(fn), vf_load(into + d) * vf_set(fm)));
    m[0] = top;
    m[1] = m[1] * fm + n[1] * fn;
}

INLINE void att_finish(const nt_attention_args *a, const struct att_row *row, const float *state) {
    size_t dims = att_state_floats(a) - 16;
    float max = state[dims], sum = state[dims + 1], factor = f8_rest(a->cache.type);
    if (a->sinks) {
        float sink = a->sinks[row->head], top = sink > max ? sink : max, shrink = exp_scalar(max - top);
        factor *= shrink;
        sum = sum * shrink + exp_scalar(sink - top);
    }
    vf f = vf_set(sum > 0 || sum != sum ? factor / sum : 0);
    float *out = a->out + row->token * a->out_stride + row->head * a->cache.v_dim;
    for (size_t d = 0; d < a->cache.v_dim; d += 16) vf_store_n(out + d, vf_load(state + d) * f, min_size(16, a->cache.v_dim - d));
}
