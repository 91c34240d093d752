// y = x Wᵀ over panels of grouped weights (grouped_layout.h): codes with a scale for each group of columns.
//
// As in linear_packed.h, lane r of every vector is weight row r of the panel. A group is summed on its own, then scaled and added; groups go in
// rising order, so an output's bits depend on its row of x alone.

struct grouped_panel {
    struct grouped_layout l;
    const char *scales, *zeros, *codes;
};
INLINE struct grouped_panel grouped_panel_at(const nt_linear_args *a, size_t p) {
    struct grouped_layout l = grouped_layout(a->grouped, a->k);
    const char *base = (const char *)a->w + p * l.bytes;
    return (struct grouped_panel){l, base, base + l.zeros, base + l.codes};
}

INLINE vf grouped_scale(const nt_grouped *f, const struct grouped_panel *w, size_t g) {
    if (f->scale_type == NT_F16) return vf_from_f16(vh_load(w->scales + 32 * g));
    if (f->scale_type == NT_BF16) return vf_from_bf16(vh_load(w->scales + 32 * g));
    return vf_load(w->scales + 64 * g);
}
/// Zeros of group g where they are whole numbers, else 0.
INLINE vi grouped_zero(const nt_grouped *f, const struct grouped_panel *w, size_t g) {
    if (f->zero_kind == NT_ZERO_I8) return vi_from_i8(w->zeros + 16 * g);
    return vi_set(f->zero_kind == NT_ZERO_SAME ? f->zero : 0);
}
INLINE vf grouped_zero_value(const nt_grouped *f, const struct grouped_panel *w, size_t g) {
    return f->zero_kind == NT_ZERO_F32 ? vf_load(w->zeros + 64 * g) : vf_from_i(grouped_zero(f, w, g));
}

// ---- integer dot products ----

/// What a lane of the integer kernels holds.
enum { GROUPED_NIBBLES, GROUPED_LOOKUP, GROUPED_BYTES };

/// Codes k = 4g... (*low) and k = 16 + 4g... (*high) of a block, g < 4, as unsigned bytes.
INLINE void grouped_groups(const int KIND, vi table, const char *codes, const int g, vi *low, vi *high) {
    if (KIND == GROUPED_BYTES) {
        *low = vi_load(codes + 64 * g);
        *high = vi_load(codes + 64 * (g + 4));
        return;
    }
    vi v = vi_load(codes + 64 * g);
    *low = v & 0x0f0f0f0f;
    *high = (vi)((vu)v >> 4) & 0x0f0f0f0f;
    if (KIND == GROUPED_LOOKUP) {
        *low = vi_lookup_bytes(table, *low);
        *high = vi_lookup_bytes(table, *high);
    }
}
INLINE vi grouped_dot(const int KIND, vi acc, vi u, vi s) {
    return KIND == GROUPED_BYTES ? vi_dot_biased(acc, u, s) : vi_dot_u7s8(acc, u, s);
}

/// MR rows of q8 x from row m over panel p.
INLINE void grouped_q8_tile(const int KIND, const int MR, const nt_linear_args *a, size_t m, size_t p, struct ahead *next) {
    const nt_grouped *f = a->grouped;
    const struct grouped_panel w = grouped_panel_at(a, p);
    const struct q8_layout q = q8_layout(a->k);
    const char *x = (const char *)a->x + m * a->x_stride;
    const size_t xs = a->x_stride, group_blocks = f->group / 32;
    const vi bias = vi_set(KIND == GROUPED_BYTES ? Q8_CODE_BIAS : 0);
    const vi table = KIND == GROUPED_LOOKUP ? vi_splat_16_bytes(f->codes) : vi_set(0);
    vf acc[8];
    UNROLL for (int r = 0; r < MR; r++) acc[r] = vf_set(0);
    for (size_t g = 0, b = 0; b < q.blocks; g++) {
        const size_t first = b, end = min_size(b + group_blocks, q.blocks);
        const vi zero = grouped_zero(f, &w, g) + bias;
        vf part[8];
        UNROLL for (int r = 0; r < MR; r++) part[r] = vf_set(0);
        for (; b < end; b++) {
            const char *codes = w.codes + b * w.l.block_bytes, *xb = x + 32 * b;
            vi dot[8];
            ahead_step(next);
            UNROLL for (int r = 0; r < MR; r++) dot[r] = vi_times_i16(zero, vi_splat_load(x + r * xs + q.sums + 4 * b));   // sums are stored negated
            UNROLL for (int i = 0; i < 4; i++) {
                vi low, high;
                grouped_groups(KIND, table, codes, i, &low, &high);
                UNROLL for (int r = 0; r < MR; r++) dot[r] = grouped_dot(KIND, dot[r], low, vi_splat_load(xb + r * xs + 4 * i));
                UNROLL for (int r = 0; r < MR; r++) dot[r] = grouped_dot(KIND, dot[r], high, vi_splat_load(xb + r * xs + 4 * i + 16));
            }
            UNROLL for (int r = 0; r < MR; r++) part[r] = vf_fma(vf_from_i(dot[r]), vf_set(load_f32(x + r * xs + q.scales + 4 * b)), part[r]);
        }
        const vf d = grouped_scale(f, &w, g) * f->factor;
        if (f->zero_kind == NT_ZERO_F32) {
            const vf z = vf_load(w.zeros + 64 * g);
            for (int r = 0; r < MR; r++) {
                float sum = 0;
                for (size_t i = first; i < end; i++) sum += load_f32(x + r * xs + q.scaled + 4 * i);
                part[r] = vf_fma(-z, vf_set(sum), part[r]);
            }
        }
        UNROLL for (int r = 0; r < MR; r++) acc[r] = vf_fma(part[r], d, acc[r]);
    }
    UNROLL for (int r = 0; r < MR; r++) panel_store(a, m + r, p, acc[r]);
}

/// The same for groups of 16, half a block.
INLINE void grouped_q8_halves_tile(const int KIND, const int MR, const nt_linear_args *a, size_t m, size_t p, struct ahead *next) {
    const nt_grouped *f = a->grouped;
    const struct grouped_panel w = grouped_panel_at(a, p);
    const struct q8_layout q = q8_layout(a->k);
    const char *x = (const char *)a->x + m * a->x_stride;
    const size_t xs = a->x_stride;
    const vi bias = vi_set(KIND == GROUPED_BYTES ? Q8_CODE_BIAS : 0);
    const vi table = KIND == GROUPED_LOOKUP ? vi_splat_16_bytes(f->codes) : vi_set(0);
    vf acc[8];
    UNROLL for (int r = 0; r < MR; r++) acc[r] = vf_set(0);
    for (size_t b = 0; b < q.blocks; b++) {
        const char *codes = w.codes + b * w.l.block_bytes, *xb = x + 32 * b;
        const vi zero0 = grouped_zero(f, &w, 2 * b) + bias, zero1 = grouped_zero(f, &w, 2 * b + 1) + bias;
        vi lower[8], upper[8];
        ahead_step(next);
        UNROLL for (int r = 0; r < MR; r++) {
            vi sum = vi_splat_load(x + r * xs + q.sums + 4 * b), half = vi_splat_load(x + r * xs + q.halves + 4 * b);
            lower[r] = vi_times_i16(zero0, sum - half);
            upper[r] = vi_times_i16(zero1, half);
        }
        UNROLL for (int i = 0; i < 4; i++) {
            vi low, high;
            grouped_groups(KIND, table, codes, i, &low, &high);
            UNROLL for (int r = 0; r < MR; r++) lower[r] = grouped_dot(KIND, lower[r], low, vi_splat_load(xb + r * xs + 4 * i));
            UNROLL for (int r = 0; r < MR; r++) upper[r] = grouped_dot(KIND, upper[r], high, vi_splat_load(xb + r * xs + 4 * i + 16));
        }
        const vf d0 = grouped_scale(f, &w, 2 * b) * f->factor, d1 = grouped_scale(f, &w, 2 * b + 1) * f->factor;
        UNROLL for (int r = 0; r < MR; r++) {
            vf xd = vf_set(load_f32(x + r * xs + q.scales + 4 * b));
            vf low = vf_from_i(lower[r]), high = vf_from_i(upper[r]);
            if (f->zero_kind == NT_ZERO_F32) {
                float sum = (float)load_i32(x + r * xs + q.sums + 4 * b), half = (float)load_i32(x + r * xs + q.halves + 4 * b);
                low = vf_fma(vf_load(w.zeros + 128 * b), vf_set(sum - half), low);
                high = vf_fma(vf_load(w.zeros + 128 * b + 64), vf_set(half), high);
            }
            acc[r] = vf_fma(low, d0 * xd, acc[r]);
            acc[r] = vf_fma(high, d1 * xd, acc[r]);
        }
    }
    UNROLL for (int r = 0; r < MR; r++) panel_store(a, m + r, p, acc[r]);
}

// ---- decoded codes ----

/// Pair j of a vector of codes: columns 2j and 2j + 1 of those it holds (float8: j < 2, tables: j < 4), as bfloat16.
INLINE vi grouped_pair(const int FLOAT8, vi table, vi v, const int j) {
    return FLOAT8 ? vi_bf16_from_e4m3(table, v, j) : vi_lookup_words(table, (vi)((vus)v >> (4 * j)));
}

/// Block b of a panel as float32: out[i] is column i of the block in 16 rows.
KERNEL void grouped_decode_block(const nt_grouped *f, const struct grouped_panel *w, size_t b, vf *out) {
    const char *codes = w->codes + b * w->l.block_bytes;
    const size_t g0 = 32 * b / f->group, g1 = (32 * b + 16) / f->group;
    const vf d[2] = {grouped_scale(f, w, g0), grouped_scale(f, w, g1)};
    const bool pairs = f->code == NT_CODE_TABLE4 && !f->integers;
    if (f->code == NT_CODE_FLOAT8) {
        static const int at[4] = {0, 16, 8, 24};
        for (int i = 0; i < 32; i++) {
            vu byte = (vu)vi_load(codes + 64 * (i / 4)) >> at[i % 4] & 0xff;
            vu half = (byte & 0x80) << 8 | (byte & 0x7f) << 7;
            out[i] = vf_from_f16(__builtin_convertvector(half, vh)) * d[i / 16] * 256;   // e4m3 bits as a half: its exponents count from eight further down
        }
    } else if (f->code == NT_CODE_TABLE4) {
        for (int i = 0; i < 32; i++) {
            vu v = (vu)vi_load(codes + 64 * (pairs ? i / 8 : i / 4 % 4));
            int at = pairs ? 16 * (i % 2) + 4 * (i % 8 / 2) : 8 * (i % 4) + (i < 16 ? 0 : 4);
            out[i] = vf_lookup(f->table, (vi)(v >> at & 15)) * d[i / 16];
        }
    } else {
        const vf zero[2] = {grouped_zero_value(f, w, g0), grouped_zero_value(f, w, g1)};
        const bool bytes = f->code == NT_CODE_INT8;
        for (int i = 0; i < 32; i++) {
            vu v = (vu)vi_load(codes + 64 * (bytes ? i / 4 : i / 4 % 4)) >> (8 * (i % 4));
            vi code = bytes ? (vi)(v & 0xff) - 128 : (vi)(v >> (i < 16 ? 0 : 4) & 15);
            out[i] = (vf_from_i(code) - zero[i / 16]) * d[i / 16];
        }
    }
}

/// Elements k / 32 * 32..<k of MR rows of x, zeros behind, so that no kernel reads past a row.
INLINE void grouped_tail(const nt_linear_args *a, size_t m, const int MR, size_t element, char *tail) {
    const size_t rest = a->k % 32, at = (a->k - rest) * element;
    if (rest == 0) return;
    __builtin_memset(tail, 0, (size_t)MR * 32 * element);
    for (int r = 0; r < MR; r++)
        __builtin_memcpy(tail + (size_t)r * 32 * element, (const char *)a->x + (m + (size_t)r) * a->x_stride + at, rest * element);
}

// ---- bfloat16 dot products ----

/// MR rows of bf16 x from row m over panel p.
INLINE void grouped_bf16_tile(const int FLOAT8, const int MR, const nt_linear_args *a, size_t m, size_t p, struct ahead *next) {
    const nt_grouped *f = a->grouped;
    const struct grouped_panel w = grouped_panel_at(a, p);
    const int columns = FLOAT8 ? 4 : 8;   // of a step
    const size_t steps = w.l.blocks * 32 / columns, whole = a->k / 32 * (32 / columns), group_steps = f->group / columns;
    const char *rows = (const char *)a->x + m * a->x_stride;
    const vi table = FLOAT8 ? vi_e4m3_table() : vi_load(f->words);
    char tail[8 * 64];
    grouped_tail(a, m, MR, 2, tail);
    vf acc[8];
    UNROLL for (int r = 0; r < MR; r++) acc[r] = vf_set(0);
    for (size_t g = 0, v = 0; v < steps; g++) {
        const size_t end = min_size(v + group_steps, steps);
        vf even[8], odd[8];
        UNROLL for (int r = 0; r < MR; r++) even[r] = odd[r] = vf_set(0);
        for (; v < end; v++) {
            const char *x = v < whole ? rows + v * columns * 2 : tail + (v - whole) * columns * 2;
            const size_t xs = v < whole ? a->x_stride : 64;
            const vi codes = vi_load(w.codes + 64 * v);
            ahead_step(next);
            UNROLL for (int j = 0; j < columns / 2; j += 2) {
                vi first = grouped_pair(FLOAT8, table, codes, j), second = grouped_pair(FLOAT8, table, codes, j + 1);
                UNROLL for (int r = 0; r < MR; r++) even[r] = vf_dot_bf16(even[r], first, vi_splat_load(x + r * xs + 4 * j));
                UNROLL for (int r = 0; r < MR; r++) odd[r] = vf_dot_bf16(odd[r], second, vi_splat_load(x + r * xs + 4 * j + 4));
            }
        }
        const vf d = grouped_scale(f, &w, g) * f->factor;
        UNROLL for (int r = 0; r < MR; r++) acc[r] = vf_fma(even[r] + odd[r], d, acc[r]);
    }
    UNROLL for (int r = 0; r < MR; r++) panel_store(a, m + r, p, acc[r]);
}

// ---- float32, exact ----

/// MR rows of f32 x from row m over panel p: each weight is dequantised exactly, then fused multiply-adds in rising k.
/// - DECODED: the panel's weights are in the scratch.
INLINE void grouped_f32_tile(const int DECODED, const int MR, const nt_linear_args *a, size_t m, size_t p, struct ahead *next) {
    const struct grouped_panel w = grouped_panel_at(a, p);
    char tail[8 * 128];
    grouped_tail(a, m, MR, 4, tail);
    vf acc[8];
    UNROLL for (int r = 0; r < MR; r++) acc[r] = vf_set(0);
    for (size_t b = 0; b < w.l.blocks; b++) {
        const bool whole = 32 * b + 32 <= a->k;
        const char *x = whole ? (const char *)a->x + m * a->x_stride + 128 * b : tail;
        const size_t xs = whole ? a->x_stride : 128;
        vf block[32];
        const vf *weights = block;
        ahead_step(next);
        if (DECODED) weights = (const vf *)a->scratch + 32 * b;
        else grouped_decode_block(a->grouped, &w, b, block);
        for (int i = 0; i < 32; i++)
            UNROLL for (int r = 0; r < MR; r++) acc[r] = vf_fma(weights[i], vf_set(load_f32(x + r * xs + 4 * i)), acc[r]);
    }
    UNROLL for (int r = 0; r < MR; r++) panel_store(a, m + r, p, acc[r]);
}

// ---- drivers ----

#define GROUPED_TILE(name, MR, ...) \
    KERNEL void name##_##MR(const nt_linear_args *a, size_t m, size_t p, struct ahead *next) { __VA_ARGS__; }
#define GROUPED_TILES(name, tile, KIND)                             \
    GROUPED_TILE(name, 8, tile(KIND, 8, a, m, p, next))             \
    GROUPED_TILE(name, 4, tile(KIND, 4, a, m, p, next))             \
    GROUPED_TILE(name, 2, tile(KIND, 2, a, m, p, next))             \
    GROUPED_TILE(name, 1, tile(KIND, 1, a, m, p, next))
GROUPED_TILES(grouped_nibbles, grouped_q8_tile, GROUPED_NIBBLES)
GROUPED_TILES(grouped_lookup, grouped_q8_tile, GROUPED_LOOKUP)
GROUPED_TILES(grouped_bytes, grouped_q8_tile, GROUPED_BYTES)
GROUPED_TILES(grouped_half_nibbles, grouped_q8_halves_tile, GROUPED_NIBBLES)
GROUPED_TILES(grouped_half_lookup, grouped_q8_halves_tile, GROUPED_LOOKUP)
GROUPED_TILES(grouped_half_bytes, grouped_q8_halves_tile, GROUPED_BYTES)
GROUPED_TILES(grouped_float8, grouped_bf16_tile, true)
GROUPED_TILES(grouped_table, grouped_bf16_tile, false)
GROUPED_TILES(grouped_exact, grouped_f32_tile, false)
GROUPED_TILES(grouped_decoded, grouped_f32_tile, true)

/// Float32, panel by panel: decoded into the scratch once, then all rows of x over it.
static void grouped_decoded_drive(const nt_linear_args *a, struct grouped_layout l) {
    for (size_t p = a->n_begin / 16; 16 * p < a->n_end; p++) {
        const struct grouped_panel w = grouped_panel_at(a, p);
        nt_linear_args one = *a;
        if (one.n_begin < 16 * p) one.n_begin = 16 * p;
        if (one.n_end > 16 * p + 16) one.n_end = 16 * p + 16;
        for (size_t b = 0; b < l.blocks; b++) grouped_decode_block(a->grouped, &w, b, (vf *)a->scratch + 32 * b);
        panels_drive(&one, l.bytes, l.blocks, grouped_decoded_8, grouped_decoded_4, grouped_decoded_2, grouped_decoded_1);
    }
}

static void linear_grouped(const nt_linear_args *a) {
    const nt_grouped *f = a->grouped;
    const struct grouped_layout l = grouped_layout(f, a->k);
    const size_t steps = a->x_type == NT_ACT_BF16 ? l.blocks * l.block_bytes / 64 : l.blocks;
    if (a->x_type != NT_ACT_F32 && a->x_type != nt_grouped_activation(f)) return;
    const size_t scratch = nt_grouped_scratch_bytes(f, a->x_type, a->m, a->k);
    if (scratch > 0 && a->scratch_bytes >= scratch) { grouped_decoded_drive(a, l); return; }
#define GROUPED_DRIVE(name) panels_drive(a, l.bytes, steps, name##_8, name##_4, name##_2, name##_1)
    if (a->x_type == NT_ACT_F32) GROUPED_DRIVE(grouped_exact);
    else if (f->code == NT_CODE_FLOAT8) GROUPED_DRIVE(grouped_float8);
    else if (!f->integers) GROUPED_DRIVE(grouped_table);
    else if (f->code == NT_CODE_INT8) { if (f->group == 16) GROUPED_DRIVE(grouped_half_bytes); else GROUPED_DRIVE(grouped_bytes); }
    else if (f->code == NT_CODE_TABLE4) { if (f->group == 16) GROUPED_DRIVE(grouped_half_lookup); else GROUPED_DRIVE(grouped_lookup); }
    else { if (f->group == 16) GROUPED_DRIVE(grouped_half_nibbles); else GROUPED_DRIVE(grouped_nibbles); }
}
