// Writing keys and values into pages; the layout is in include/nt_attention.h.

typedef int16_t vs32 __attribute__((vector_size(64)));   // 32 short integers
typedef int8_t vsb32 __attribute__((vector_size(32)));

/// Factor in the exponent between an 8-bit float and its bits read as bf16, taken off in two steps so that nothing between them leaves
/// the range of a float: queries and probabilities are raised by F8_RAISE, what comes of them is multiplied by f8_rest.
#define F8_RAISE 0x1p100f
INLINE float f8_rest(const nt_kv_type type) { return type == NT_KV_E4M3 ? 0x1p20f : type == NT_KV_E5M2 ? 0x1p12f : 1.0f; }

/// 32 elements as pairs of bf16, 8-bit floats 2^-120 (e4m3) or 2^-112 (e5m2) of their value.
INLINE vi kv_pairs(const nt_kv_type type, const void *p) {
    if (type == NT_KV_BF16) return vi_load(p);
    vsb32 codes;
    __builtin_memcpy(&codes, p, 32);
    vs32 wide = __builtin_convertvector(codes, vs32);
    return type == NT_KV_E4M3 ? (vi)(wide << 4) & (int32_t)0x87f087f0 : (vi)(wide << 5) & (int32_t)0x8fe08fe0;
}
/// 16 elements of the other types.
INLINE vf kv_floats(const nt_kv_type type, const void *p) {
    if (type == NT_KV_F16) return vf_from_f16(vh_load(p));
    if (type == NT_KV_F32) return vf_load(p);
    vsb codes;
    __builtin_memcpy(&codes, p, 16);
    return vf_from_i(__builtin_convertvector(codes, vi));
}

/// Sixteen codes of an 8-bit float with `mantissa` bits and exponent bias `bias`, to nearest even; |x| is at most the largest number.
INLINE vsb f8_codes(vf x, const int mantissa, const int bias) {
    const int drop = 23 - mantissa;
    vi bits = (vi)vf_abs(x), least = vi_set(1 << mantissa);
    vi code = ((bits + ((1 << (drop - 1)) - 1) + ((bits >> drop) & 1)) >> drop) - vi_set((127 - bias) << mantissa);
    vi half = vi_set((127 - bias) << 23);                      // half the least normal number
    vi small = code < least;
    code = (small & least) | (~small & code);
    code &= ~(bits < half);
    return __builtin_convertvector(code | ((vi)x >> 31 & 0x80), vsb);
}

/// Codes of `count` elements and their scale: |largest| becomes the type's largest number. A row that is not finite has scale NaN.
INLINE float kv_quantise(const nt_kv_type type, const float *x, size_t count, int8_t *codes) {
    vf top = vf_set(0), poison = vf_set(0);
    for (size_t i = 0; i < count; i += 16) {
        vf v = vf_load_n(x + i, min_size(16, count - i));
        top = vf_max(top, vf_abs(v));
        poison = vf_fma(v, vf_set(0), poison);
    }
    const float largest = type == NT_KV_INT8 ? 127.0f : type == NT_KV_E4M3 ? 448.0f : 57344.0f;
    float most = vf_reduce_max(top), inverse = most > 0x1p-100f ? largest / most : 0;   // less than that is zero
    vf factor = vf_set(inverse), limit = vf_set(largest), magic = vf_set(0x1.8p23f);
    for (size_t i = 0; i < count; i += 16) {
        size_t n = min_size(16, count - i);
        vf v = vf_min(limit, vf_max(-limit, vf_load_n(x + i, n) * factor));
        vsb c;
        if (type == NT_KV_INT8) c = __builtin_convertvector((vi)(v + magic) - (vi)magic, vsb);
        else if (type == NT_KV_E4M3) c = f8_codes(v, 3, 7);
        else c = f8_codes(v, 2, 15);
        __builtin_memcpy(codes + i, &c, n);
    }
    return (inverse > 0 ? most / largest : 0) + vf_sum(poison);
}

/// `count` elements as one of the types without a scale.
INLINE void kv_narrow(const nt_kv_type type, const float *x, size_t count, void *to) {
    if (type == NT_KV_F32) __builtin_memcpy(to, x, count * 4);
    else if (type == NT_KV_F16) f32_to_f16(x, to, count);
    else f32_to_bf16(x, to, count);
}

/// Lays `count` units of `unit` bytes `stride` bytes apart.
INLINE void kv_scatter(const char *from, size_t count, const size_t unit, char *to, size_t stride) {
    for (size_t i = 0; i < count; i++) __builtin_memcpy(to + i * stride, from + i * unit, unit);
}

/// One head of one token.
INLINE void kv_write_head(const nt_kv_type type, const nt_kv_cache *cache, const struct kv_page *page, char *base, size_t h, size_t at,
                          const float *k, const float *v) {
    const size_t element = kv_element(type), pair = kv_is_paired(type) ? 2 : 1, unit = element * pair;
    char codes[NT_KV_MAX_DIM * 4] __attribute__((aligned(64)));
    if (kv_is_scaled(type)) ((float *)(base + page->key_scales))[h * cache->block_size + at] = kv_quantise(type, k, cache->k_dim, (int8_t *)codes);
    else kv_narrow(type, k, cache->k_dim, codes);
    kv_scatter(codes, cache->k_dim / pair, unit, base + h * page->key_head + at * unit, cache->block_size * unit);
    if (kv_is_scaled(type)) ((float *)(base + page->value_scales))[h * cache->block_size + at] = kv_quantise(type, v, cache->v_dim, (int8_t *)codes);
    else kv_narrow(type, v, cache->v_dim, codes);
    char *values = base + page->values + h * page->value_head;
    if (pair == 1) __builtin_memcpy(values + at * page->v_padded * element, codes, cache->v_dim * element);
    else kv_scatter(codes, cache->v_dim, element, values + (at / 2 * page->v_padded * 2 + at % 2) * element, unit);
}

/// One token's row of a latent page.
INLINE void latent_write(const nt_kv_cache *cache, const struct latent_page *page, char *base, size_t at, const float *x) {
    char *row = base + at * page->row;
    size_t rotary = cache->k_dim - cache->v_dim;
    if (kv_is_scaled(cache->type)) {
        float scale;
        if (cache->type == NT_KV_INT8) scale = kv_quantise(NT_KV_INT8, x, cache->v_dim, (int8_t *)row);
        else if (cache->type == NT_KV_E4M3) scale = kv_quantise(NT_KV_E4M3, x, cache->v_dim, (int8_t *)row);
        else scale = kv_quantise(NT_KV_E5M2, x, cache->v_dim, (int8_t *)row);
        ((float *)(base + page->scales))[at] = scale;
        f32_to_bf16(x + cache->v_dim, (uint16_t *)(row + page->rotary), rotary);
    } else {
        kv_narrow(cache->type, x, cache->v_dim, row);
        kv_narrow(cache->type, x + cache->v_dim, rotary, row + page->rotary);
    }
    __builtin_memset(row + cache->v_dim * page->element, 0, (page->dims - cache->v_dim) * page->element);
    __builtin_memset(row + page->rotary + rotary * page->rotary_element, 0, (page->rotary_dims - rotary) * page->rotary_element);
}

static void kv_write(const nt_kv_cache *cache, const float *k, size_t k_stride, const float *v, size_t v_stride,
                     const int64_t *slots, size_t token_begin, size_t token_end, size_t head_begin, size_t head_end) {
    const struct kv_page page = kv_page(cache);
    const struct latent_page latent = latent_page(cache);
    for (size_t t = token_begin; t < token_end; t++) {
        if (slots[t] < 0) continue;
        size_t at = (size_t)slots[t] % cache->block_size;
        char *base = (char *)cache->pages + (size_t)slots[t] / cache->block_size * cache->page_stride;
        if (cache->latent) {
            latent_write(cache, &latent, base, at, k + t * k_stride);
            continue;
        }
        for (size_t h = head_begin; h < head_end; h++) {
            const float *kr = k + t * k_stride + h * cache->k_dim, *vr = v + t * v_stride + h * cache->v_dim;
#define CASE(type) case type: kv_write_head(type, cache, &page, base, h, at, kr, vr); break;
            switch (cache->type) {
            CASE(NT_KV_F32) CASE(NT_KV_F16) CASE(NT_KV_BF16) CASE(NT_KV_INT8) CASE(NT_KV_E4M3) CASE(NT_KV_E5M2)
            }
#undef CASE
        }
    }
}
