// y = x Wᵀ over packed panels of 16 rows: int8 x (integer dot products) or f32 x (exactly dequantised weights).
//
// Lane r of every vector is weight row r of the panel, so an output never needs a sum across lanes: it is the fused
// sum over blocks of 32 in rising order, the same for any number of rows of x.

/// What the weight is worth: w = d * (u - offset) (+ m), or d * table[u].
#define CODE_OFFSET(type) ((type) == NT_Q8_0 ? 128 : (type) == NT_Q4_0 ? 8 : (type) == NT_Q5_0 ? 16 : (type) == NT_Q6_K ? 32 : (type) == NT_Q3_K ? 4 : 0)
#define HAS_MIN(type) ((type) == NT_Q4_1 || (type) == NT_Q5_1 || (type) == NT_Q2_K || (type) == NT_Q4_K || (type) == NT_Q5_K)
#define HAS_FIFTH_BIT(type) ((type) == NT_Q5_0 || (type) == NT_Q5_1 || (type) == NT_Q5_K)
/// Scales (of Q2_K mins too) belong to 16 elements, not 32.
#define HAS_HALVES(type) ((type) == NT_Q2_K || (type) == NT_Q3_K || (type) == NT_Q6_K)
#define IS_IQ4(type) ((type) == NT_IQ4_NL || (type) == NT_IQ4_XS)
/// Table of IQ4 plus 128, and of MXFP4 plus 12, as the integer dot products take them.
#define MXFP4_BIAS 12
#define DOT_OFFSET(type) ((type) == NT_Q8_0 || IS_IQ4(type) ? Q8_CODE_BIAS : (type) == NT_MXFP4 ? MXFP4_BIAS : CODE_OFFSET(type))

struct panel {
    const char *codes, *subs, *supers;
};
INLINE struct panel panel_at(const nt_linear_args *a, const int type, size_t p) {
    struct panel_layout l = panel_layout(type);
    const char *base = (const char *)a->w + p * panel_bytes(type, a->k);
    return (struct panel){base, base + a->k / 32 * l.code_bytes, base + a->k / 32 * (l.code_bytes + l.sub_bytes)};
}

INLINE vf vf_from_u8(const char *p) { vb b; __builtin_memcpy(&b, p, 16); return __builtin_convertvector(__builtin_convertvector(b, vi), vf); }
INLINE vi vi_from_u8(const char *p) { vb b; __builtin_memcpy(&b, p, 16); return __builtin_convertvector(b, vi); }
INLINE vi vi_from_i8(const char *p) { vsb b; __builtin_memcpy(&b, p, 16); return __builtin_convertvector(b, vi); }

/// Codes of groups g and g + 4 (g < 4) of a block: *low and *high, 16 rows x 4 bytes each. Q8_0: straight loads.
INLINE void load_groups(const int type, const char *codes, const int g, vi *low, vi *high) {
    if (type == NT_Q8_0) {
        *low = vi_load(codes + 64 * g);
        *high = vi_load(codes + 64 * (g + 4));
        return;
    }
    if (type == NT_Q2_K || type == NT_Q3_K) {
        *low = (vi)((vu)vi_load(codes) >> (2 * g)) & 0x03030303;
        *high = (vi)((vu)vi_load(codes + 64) >> (2 * g)) & 0x03030303;
        if (type == NT_Q2_K) return;
        vi bits = vi_load(codes + 128);
        *low |= (g < 2 ? bits << (2 - g) : (vi)((vu)bits >> (g - 2))) & 0x04040404;
        *high |= (vi)((vu)bits >> (g + 2)) & 0x04040404;
        return;
    }
    vi v = vi_load(codes + 64 * g);
    *low = v & 0x0f0f0f0f;
    *high = (vi)((vu)v >> 4) & 0x0f0f0f0f;
    if (HAS_FIFTH_BIT(type)) {
        vi bits = vi_load(codes + 256);
        *low |= bits << (4 - g) & 0x10101010;
        *high |= (vi)((vu)bits >> g) & 0x10101010;
    } else if (type == NT_Q6_K) {
        vi a = vi_load(codes + 256), b = vi_load(codes + 320);
        *low |= (g < 2 ? a << (4 - 2 * g) : (vi)((vu)a >> (2 * g - 4))) & 0x30303030;
        *high |= (g < 2 ? b << (4 - 2 * g) : (vi)((vu)b >> (2 * g - 4))) & 0x30303030;
    }
}

/// d and m (0 when the type has none) of a half of block b.
INLINE void load_scales(const int type, struct panel p, size_t b, const int half, vf *d, vf *m) {
    struct panel_layout l = panel_layout(type);
    const char *sub = p.subs + b * l.sub_bytes, *super = p.supers + b / 8 * l.super_bytes;
    *m = vf_set(0);
    switch (type) {
    case NT_Q3_K: case NT_Q6_K: *d = vf_from_f16(vh_load(super)) * vf_from_i(vi_from_i8(sub + 16 * half)); break;
    case NT_IQ4_XS: *d = vf_from_f16(vh_load(super)) * vf_from_i(vi_from_i8(sub)); break;
    case NT_MXFP4: *d = vf_from_bf16(vh_load(sub)); break;
    case NT_Q2_K: {
        vi both = vi_from_u8(sub + 16 * half);
        *d = vf_from_f16(vh_load(super)) * vf_from_i(both & 15);
        *m = -(vf_from_f16(vh_load(super + 32)) * vf_from_i(both >> 4));
        break;
    }
    case NT_Q4_K: case NT_Q5_K:
        *d = vf_from_f16(vh_load(super)) * vf_from_u8(sub);
        *m = -(vf_from_f16(vh_load(super + 32)) * vf_from_u8(sub + 16));
        break;
    default:
        *d = vf_from_f16(vh_load(sub));
        if (HAS_MIN(type)) *m = vf_from_f16(vh_load(sub + 32));
    }
}

/// What the integer dot products take for codes u.
INLINE vi dot_bytes(const int type, vi u) {
#define P(x) (uint8_t)(x + 128)
#define M(x) (uint8_t)(x + MXFP4_BIAS)
    static const uint8_t iq4[16] = {P(-127), P(-104), P(-83), P(-65), P(-49), P(-35), P(-22), P(-10), P(1), P(13), P(25), P(38), P(53), P(69), P(89), P(113)};
    static const uint8_t mxfp4[16] = {M(0), M(1), M(2), M(3), M(4), M(6), M(8), M(12), M(0), M(-1), M(-2), M(-3), M(-4), M(-6), M(-8), M(-12)};
#undef P
#undef M
    if (!IS_IQ4(type) && type != NT_MXFP4) return u;
    return vi_lookup_bytes(vi_splat_16_bytes(IS_IQ4(type) ? iq4 : mxfp4), u);
}
INLINE vi dot_codes(const int type, vi acc, vi u, vi s) {
    return type == NT_Q8_0 || IS_IQ4(type) ? vi_dot_biased(acc, u, s) : vi_dot_u7s8(acc, u, s);
}

INLINE void panel_store(const nt_linear_args *a, size_t m, size_t p, vf v) {
    size_t n = 16 * p, from = a->n_begin > n ? a->n_begin - n : 0, to = a->n_end - n < 16 ? a->n_end - n : 16;
    float *y = a->y + m * a->y_stride + n;
    if (from == 0 && to == 16) {
        if (a->bias) v += vf_load(a->bias + n);
        if (a->accumulate) v = vf_load(y) + v;
        vf_store(y, v);
        return;
    }
    float lane[16];
    vf_store(lane, v);
    for (size_t i = from; i < to; i++) {
        float x = lane[i];
        if (a->bias) x += a->bias[n + i];
        y[i] = a->accumulate ? y[i] + x : x;
    }
}

/// MR rows of q8 x from row m over panel p.
INLINE void packed_q8_tile(const int type, const int MR, const nt_linear_args *a, size_t m, size_t p, struct ahead *next) {
    struct panel_layout l = panel_layout(type);
    struct panel w = panel_at(a, type, p);
    struct q8_layout q = q8_layout(a->k);
    const int offset = DOT_OFFSET(type);
    const char *x = (const char *)a->x + m * a->x_stride;
    const size_t xs = a->x_stride;
    vf acc[8];
#pragma clang loop unroll(full)
    for (int r = 0; r < MR; r++) acc[r] = vf_set(0);
    for (size_t b = 0; b < q.blocks; b++) {
        vi dot[8], upper[8];
        const char *codes = w.codes + b * l.code_bytes, *xb = x + 32 * b;
        ahead_step(next);
#pragma clang loop unroll(full)
        for (int r = 0; r < MR; r++) {
            if (offset == 0) {
                dot[r] = upper[r] = vi_set(0);
            } else {
                dot[r] = vi_splat_load(x + r * xs + q.sums + 4 * b) * offset;   // sums are stored negated
                if (HAS_HALVES(type)) {
                    upper[r] = vi_splat_load(x + r * xs + q.halves + 4 * b) * offset;
                    dot[r] -= upper[r];
                }
            }
        }
#pragma clang loop unroll(full)
        for (int g = 0; g < 4; g++) {
            vi low, high;
            load_groups(type, codes, g, &low, &high);
            low = dot_bytes(type, low);
            high = dot_bytes(type, high);
#pragma clang loop unroll(full)
            for (int r = 0; r < MR; r++) dot[r] = dot_codes(type, dot[r], low, vi_splat_load(xb + r * xs + 4 * g));
#pragma clang loop unroll(full)
            for (int r = 0; r < MR; r++) {
                vi *sum = HAS_HALVES(type) ? &upper[r] : &dot[r];
                *sum = dot_codes(type, *sum, high, vi_splat_load(xb + r * xs + 4 * g + 16));
            }
        }
        const char *sub = w.subs + b * l.sub_bytes, *super = w.supers + b / 8 * l.super_bytes;
        vf d, mins;
        vi scale[2], min[2];
        if (HAS_HALVES(type)) {                                // whole products of half blocks, scaled by integers
#pragma clang loop unroll(full)
            for (int half = 0; half < 2; half++) {
                scale[half] = type == NT_Q2_K ? vi_from_u8(sub + 16 * half) : vi_from_i8(sub + 16 * half);
                min[half] = scale[half] >> 4;
                if (type == NT_Q2_K) scale[half] &= 15;
            }
            d = vf_from_f16(vh_load(super));
            mins = type == NT_Q2_K ? vf_from_f16(vh_load(super + 32)) : d;
        } else {
            load_scales(type, w, b, 0, &d, &mins);
        }
#pragma clang loop unroll(full)
        for (int r = 0; r < MR; r++) {
            vf xd = vf_set(load_f32(x + r * xs + q.scales + 4 * b));
            if (HAS_HALVES(type)) dot[r] = dot[r] * scale[0] + upper[r] * scale[1];
            acc[r] = vf_fma(vf_from_i(dot[r]), d * xd, acc[r]);
            if (type == NT_Q2_K) {
                int32_t last = load_i32(x + r * xs + q.halves + 4 * b), first = load_i32(x + r * xs + q.sums + 4 * b) - last;
                acc[r] = vf_fma(vf_from_i(min[0] * first + min[1] * last), mins * xd, acc[r]);   // sums are stored negated
            } else if (HAS_MIN(type)) {
                acc[r] = vf_fma(mins, vf_set(load_f32(x + r * xs + q.scaled + 4 * b)), acc[r]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < MR; r++) panel_store(a, m + r, p, acc[r]);
}

/// Byte j of codes u as floats: u - offset, or the table's value.
INLINE vf code_values(const int type, vi u, const int j) {
#if NT_LEVEL >= 2
    if (type != NT_Q8_0 && type != NT_Q6_K) {                  // the permutation reads the low 4 or 5 bits of a lane only
        static const float iq4[16] = {IQ4_VALUES}, mxfp4[16] = {MXFP4_VALUES};
        static const float count[32] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
                                        16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
        const vf offset = vf_set(CODE_OFFSET(type));
        __m512i index = _mm512_srli_epi32((__m512i)u, 8 * (unsigned)j);
        vf first = IS_IQ4(type) ? vf_load(iq4) : type == NT_MXFP4 ? vf_load(mxfp4) : vf_load(count) - offset;
        if (HAS_FIFTH_BIT(type)) return (vf)_mm512_permutex2var_ps((__m512)first, index, (__m512)(vf_load(count + 16) - offset));
        return (vf)_mm512_permutexvar_ps(index, (__m512)first);
    }
#endif
    if (IS_IQ4(type)) u = dot_bytes(type, u) ^ (int32_t)0x80808080;
    else u = (vi)((vb64)dot_bytes(type, u) - (uint8_t)(type == NT_MXFP4 ? MXFP4_BIAS : CODE_OFFSET(type)));
    return vf_from_i(u << (24 - 8 * j) >> 24);
}

/// MR rows of f32 x from row m over panel p: exact codes times x summed over 16 elements, then times their scale.
INLINE void packed_f32_tile(const int type, const int MR, const nt_linear_args *a, size_t m, size_t p, struct ahead *next) {
    struct panel_layout l = panel_layout(type);
    struct panel w = panel_at(a, type, p);
    const char *x = (const char *)a->x + m * a->x_stride;
    const size_t xs = a->x_stride;
    vf acc[8];
#pragma clang loop unroll(full)
    for (int r = 0; r < MR; r++) acc[r] = vf_set(0);
    for (size_t b = 0; b < a->k / 32; b++) {
        ahead_step(next);
#pragma clang loop unroll(full)
        for (int half = 0; half < 2; half++) {
            vf sum[8], d, mins;
            const char *xh = x + 4 * (32 * b + 16 * (size_t)half);
            load_scales(type, w, b, half, &d, &mins);
#pragma clang loop unroll(full)
            for (int r = 0; r < MR; r++) sum[r] = vf_set(0);
#pragma clang loop unroll(full)
            for (int g = 0; g < 4; g++) {
                vi low, high;
                load_groups(type, w.codes + b * l.code_bytes, g, &low, &high);
#pragma clang loop unroll(full)
                for (int j = 0; j < 4; j++) {
                    vf value = code_values(type, half ? high : low, j);
#pragma clang loop unroll(full)
                    for (int r = 0; r < MR; r++) sum[r] = vf_fma(value, vf_set(load_f32(xh + r * xs + 16 * g + 4 * j)), sum[r]);
                }
            }
#pragma clang loop unroll(full)
            for (int r = 0; r < MR; r++) {
                acc[r] = vf_fma(sum[r], d, acc[r]);
                if (HAS_MIN(type)) acc[r] = vf_fma(mins, vf_set(vf_sum(vf_load(xh + r * xs))), acc[r]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < MR; r++) panel_store(a, m + r, p, acc[r]);
}

typedef void panel_tile(const nt_linear_args *, size_t m, size_t p, struct ahead *next);

#define PACKED_TILE(name, tile, type, MR) \
    KERNEL void name(const nt_linear_args *a, size_t m, size_t p, struct ahead *next) { tile(NT_##type, MR, a, m, p, next); }
#define PACKED_TILES(type)                        \
    PACKED_TILE(q8_8_##type, packed_q8_tile, type, 8)   \
    PACKED_TILE(q8_4_##type, packed_q8_tile, type, 4)   \
    PACKED_TILE(q8_2_##type, packed_q8_tile, type, 2)   \
    PACKED_TILE(q8_1_##type, packed_q8_tile, type, 1)   \
    PACKED_TILE(f32_8_##type, packed_f32_tile, type, 8) \
    PACKED_TILE(f32_4_##type, packed_f32_tile, type, 4) \
    PACKED_TILE(f32_2_##type, packed_f32_tile, type, 2) \
    PACKED_TILE(f32_1_##type, packed_f32_tile, type, 1)
PACKED_TILES(Q8_0)
PACKED_TILES(Q4_0)
PACKED_TILES(Q4_1)
PACKED_TILES(Q5_0)
PACKED_TILES(Q5_1)
PACKED_TILES(Q4_K)
PACKED_TILES(Q5_K)
PACKED_TILES(Q6_K)
PACKED_TILES(Q2_K)
PACKED_TILES(Q3_K)
PACKED_TILES(IQ4_NL)
PACKED_TILES(IQ4_XS)
PACKED_TILES(MXFP4)

/// Panel by panel, all rows of x over each. With one tile a panel is read once, so the fetch runs a fixed way ahead;
/// with more, the next panel is fetched while the rows pass over this one.
/// `bytes` are those of a panel, `steps` how often a tile calls ahead_step.
INLINE void panels_drive(const nt_linear_args *a, size_t bytes, size_t steps, panel_tile *t8, panel_tile *t4, panel_tile *t2, panel_tile *t1) {
    const size_t tiles = NT_LEVEL < 2 ? (a->m + 3) / 4 : a->m / 8 + (a->m & 4 ? 1 : 0) + (a->m & 2 ? 1 : 0) + (a->m & 1);
    const char *end = (const char *)a->w + (a->n_end + 15) / 16 * bytes;
    const size_t lead = AHEAD_GROUPS_BYTES / (bytes + 1) + 1;
    struct ahead next = ahead_of((const char *)a->w + a->n_begin / 16 * bytes + AHEAD_BYTES, end, bytes, steps);
    for (size_t p = a->n_begin / 16; 16 * p < a->n_end; p++) {
        size_t m = 0;
        if (tiles > 1) next = ahead_of((const char *)a->w + (p + lead) * bytes, end, bytes, steps * tiles);
        if (NT_LEVEL >= 2) for (; m + 8 <= a->m; m += 8) t8(a, m, p, &next);
        for (; m + 4 <= a->m; m += 4) t4(a, m, p, &next);
        for (; m + 2 <= a->m; m += 2) t2(a, m, p, &next);
        for (; m < a->m; m++) t1(a, m, p, &next);
    }
}

INLINE void packed_drive(const nt_linear_args *a, panel_tile *t8, panel_tile *t4, panel_tile *t2, panel_tile *t1) {
    panels_drive(a, panel_bytes(a->w_type, a->k), a->k / 32, t8, t4, t2, t1);
}

static void linear_packed(const nt_linear_args *a) {
    bool q8 = a->x_type == NT_ACT_Q8;
    if (!q8 && a->x_type != NT_ACT_F32) return;
#define DRIVE(type)                                                                  \
    case NT_##type:                                                                  \
        if (q8) packed_drive(a, q8_8_##type, q8_4_##type, q8_2_##type, q8_1_##type); \
        else packed_drive(a, f32_8_##type, f32_4_##type, f32_2_##type, f32_1_##type);        \
        break;
    switch (a->w_type) {
    DRIVE(Q8_0) DRIVE(Q4_0) DRIVE(Q4_1) DRIVE(Q5_0) DRIVE(Q5_1) DRIVE(Q4_K) DRIVE(Q5_K) DRIVE(Q6_K)
    DRIVE(Q2_K) DRIVE(Q3_K) DRIVE(IQ4_NL) DRIVE(IQ4_XS) DRIVE(MXFP4)
    default: break;
    }
}
