// Writing keys and values into pages; the layout is in include/nt_attention.h.

struct kv_page {
    size_t element;        // bytes
    size_t v_padded;       // v_dim rounded up to 16
    size_t key_head;       // bytes of one kv head's keys in a page
    size_t value_head;     // bytes of one kv head's values
    size_t values;         // offset of the values
};
INLINE struct kv_page kv_page(const nt_kv_cache *c) {
    size_t e = c->type == NT_F32 ? 4 : 2, v = (c->v_dim + 15) / 16 * 16, key = c->k_dim * c->block_size * e;
    return (struct kv_page){e, v, key, v * c->block_size * e, c->kv_heads * key};
}

static void kv_write(const nt_kv_cache *cache, const float *k, size_t k_stride, const float *v, size_t v_stride,
                     const int64_t *slots, size_t token_begin, size_t token_end, size_t head_begin, size_t head_end) {
    struct kv_page page = kv_page(cache);
    const size_t block = cache->block_size;
    for (size_t t = token_begin; t < token_end; t++) {
        if (slots[t] < 0) continue;
        size_t at = (size_t)slots[t] % block;
        char *base = (char *)cache->pages + (size_t)slots[t] / block * cache->page_stride;
        for (size_t h = head_begin; h < head_end; h++) {
            const float *kr = k + t * k_stride + h * cache->k_dim, *vr = v + t * v_stride + h * cache->v_dim;
            char *keys = base + h * page.key_head, *values = base + page.values + h * page.value_head;
            if (cache->type == NT_F32) {
                for (size_t d = 0; d < cache->k_dim; d++) ((float *)keys)[d * block + at] = kr[d];
                __builtin_memcpy((float *)values + at * page.v_padded, vr, cache->v_dim * 4);
                continue;
            }
            uint16_t narrow[512];
            if (cache->type == NT_F16) {
                f32_to_f16(kr, narrow, cache->k_dim);
                for (size_t d = 0; d < cache->k_dim; d++) ((uint16_t *)keys)[d * block + at] = narrow[d];
                f32_to_f16(vr, (uint16_t *)values + at * page.v_padded, cache->v_dim);
            } else {
                f32_to_bf16(kr, narrow, cache->k_dim);
                for (size_t d = 0; d < cache->k_dim / 2; d++) {
                    uint32_t pair;
                    __builtin_memcpy(&pair, narrow + 2 * d, 4);
                    ((uint32_t *)keys)[d * block + at] = pair;
                }
                f32_to_bf16(vr, narrow, cache->v_dim);
                uint16_t *row = (uint16_t *)values + at / 2 * page.v_padded * 2 + at % 2;
                for (size_t d = 0; d < cache->v_dim; d++) row[2 * d] = narrow[d];
            }
        }
    }
}
