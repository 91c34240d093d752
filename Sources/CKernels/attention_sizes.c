// Sizes and page copies of the KV cache; nothing here depends on the ISA level.
#include "kv_layout.h"
#include <string.h>

size_t nt_kv_page_bytes(const nt_kv_cache *c) { return kv_round(c->latent ? latent_page(c).bytes : kv_page(c).bytes, 64); }

/// `rows` runs of `used` bytes, `stride` apart.
static void copy_runs(char *to, const char *from, size_t rows, size_t stride, size_t used) {
    for (size_t i = 0; i < rows; i++) memcpy(to + i * stride, from + i * stride, used);
}

void nt_kv_copy(const nt_kv_cache *c, size_t from, size_t to, size_t tokens) {
    if (from == to || tokens == 0) return;
    const char *a = (const char *)c->pages + from * c->page_stride;
    char *b = (char *)c->pages + to * c->page_stride;
    if (c->latent) {
        struct latent_page page = latent_page(c);
        memcpy(b, a, tokens * page.row);
        if (kv_is_scaled(c->type)) memcpy(b + page.scales, a + page.scales, tokens * 4);
        return;
    }
    struct kv_page page = kv_page(c);
    size_t step = page.pair * page.element;
    copy_runs(b, a, c->kv_heads * c->k_dim / page.pair, c->block_size * step, tokens * step);
    copy_runs(b + page.values, a + page.values, c->kv_heads, page.value_head, kv_round(tokens, page.pair) * page.v_padded * page.element);
    if (kv_is_scaled(c->type)) copy_runs(b + page.key_scales, a + page.key_scales, 2 * c->kv_heads, c->block_size * 4, tokens * 4);
}

size_t nt_attention_partial_floats(const nt_attention_args *a) { return kv_round(a->cache.v_dim, a->cache.latent ? 32 : 16) + 16; }

size_t nt_attention_scratch_bytes(const nt_attention_args *a) {
    size_t rows = 8, held = a->cache.latent ? 32 : rows, tile = 128;   // ATT_ROWS, LAT_ROWS and ATT_TILE of body/*attention.h
    size_t query = a->cache.latent ? kv_round(a->cache.v_dim, 32) + kv_round(a->cache.k_dim - a->cache.v_dim, 32) : a->cache.k_dim;
    return kv_round(2 * held * nt_attention_partial_floats(a) * 4 + rows * (tile * 6 + query * 4), 64);
}

size_t nt_attention_splits(const nt_attention_args *a, size_t token_end) {
    size_t last = a->bidirectional ? a->key_count : a->first_position + token_end;
    return (last + NT_KV_SPLIT - 1) / NT_KV_SPLIT;
}
