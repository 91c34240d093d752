// The operations on attention that the table holds: which rows go together, in which order their splits.

/// Takes the next rows of a call and runs them over one split.
INLINE size_t att_next(const nt_attention_args *a, struct att_heads heads, size_t token_begin, size_t row, size_t total, struct att_row *rows) {
    size_t n = a->cache.latent ? lat_take(total - row) : att_take(total - row);
    for (size_t r = 0; r < n; r++) {
        rows[r] = att_row(a, heads, token_begin, row + r);
        rows[r].once = n == total && NT_LEVEL >= 2;
    }
    return n;
}
INLINE void att_split(const nt_attention_args *a, size_t kv_head, const struct att_row *rows, size_t n, size_t split, float *state, void *scratch) {
    if (a->cache.latent) lat_run(a, rows, n, split, state, scratch);
    else att_run(a, kv_head, rows, n, split, state, scratch);
}

static void attention_partial(const nt_attention_args *a, size_t head_begin, size_t head_end, size_t token_begin, size_t token_end,
                              size_t split, float *partials, void *scratch) {
    struct att_heads heads = att_heads(a, head_begin, head_end);
    size_t total = (token_end - token_begin) * heads.count, floats = att_state_floats(a);
    struct att_row rows[ATT_ROWS];
    for (size_t row = 0, n; row < total; row += n) {
        n = att_next(a, heads, token_begin, row, total, rows);
        att_split(a, heads.kv, rows, n, split, partials + row * floats, scratch);
    }
}

static void attention_combine(const nt_attention_args *a, size_t head_begin, size_t head_end, size_t token_begin, size_t token_end,
                              size_t splits, float *partials) {
    struct att_heads heads = att_heads(a, head_begin, head_end);
    size_t total = (token_end - token_begin) * heads.count, floats = att_state_floats(a);
    for (size_t row = 0; row < total; row++) {
        struct att_row r = att_row(a, heads, token_begin, row);
        float *into = partials + row * floats;
        for (size_t s = 1; s < splits; s++) att_merge(a, into, partials + (s * total + row) * floats);
        att_finish(a, &r, into);
    }
}

/// Rows go over a split together while it is in the cache: latents are read by many rows, keys and values of heads by few.
static void attention(const nt_attention_args *a, size_t head_begin, size_t head_end, size_t token_begin, size_t token_end, void *scratch) {
    struct att_heads heads = att_heads(a, head_begin, head_end);
    const size_t held = a->cache.latent ? LAT_ROWS : ATT_ROWS;
    size_t total = (token_end - token_begin) * heads.count, floats = att_state_floats(a);
    float *running = scratch, *next = running + held * floats;
    char *work = (char *)(next + held * floats);
    struct att_row rows[LAT_ROWS];
    for (size_t row = 0, count; row < total; row += count) {
        size_t from = (size_t)-1, to = 0, n;
        for (count = 0; count + ATT_ROWS <= held && row + count < total; count += n) {
            n = att_next(a, heads, token_begin, row + count, total, rows + count);
            for (size_t r = count; r < count + n; r++) {
                from = min_size(from, rows[r].from);
                to = to > rows[r].to ? to : rows[r].to;
            }
        }
        size_t first = from / NT_KV_SPLIT;
        for (size_t split = first; split == first || split * NT_KV_SPLIT < to; split++) {
            for (size_t at = 0; at < count; at += n) {
                n = a->cache.latent ? lat_take(count - at) : count;
                float *state = (split == first ? running : next) + at * floats;
                att_split(a, heads.kv, rows + at, n, split, state, work);
                if (split == first) continue;
                for (size_t r = at; r < at + n; r++) att_merge(a, running + r * floats, next + r * floats);
            }
        }
        for (size_t r = 0; r < count; r++) att_finish(a, &rows[r], running + r * floats);
    }
}
