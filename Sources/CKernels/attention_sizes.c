// Sizes and page copies of the KV cache; nothing here depends on the ISA level.
#include "include/nt_attention.h"
#include <string.h>

static size_t element_bytes(const nt_kv_cache *c) { return c->type == NT_F32 ? 4 : 2; }
static size_t padded(size_t dim) { return (dim + 15) / 16 * 16; }

size_t nt_kv_page_bytes(const nt_kv_cache *c) {
    return (c->kv_heads * c->block_size * (c->k_dim + padded(c->v_dim)) * element_bytes(c) + 63) / 64 * 64;
}

/// `rows` runs of `used` bytes, `stride` apart.
static void copy_runs(char *to, const char *from, size_t rows, size_t stride, size_t used) {
    for (size_t i = 0; i < rows; i++) memcpy(to + i * stride, from + i * stride, used);
}

void nt_kv_copy(const nt_kv_cache *c, size_t from, size_t to, size_t tokens) {
    if (from == to || tokens == 0) return;
    const char *a = (const char *)c->pages + from * c->page_stride;
    char *b = (char *)c->pages + to * c->page_stride;
    size_t e = element_bytes(c), pair = c->type == NT_BF16 ? 2 : 1, step = pair * e;
    size_t key_rows = c->kv_heads * c->k_dim / pair, value_row = padded(c->v_dim) * e;
    copy_runs(b, a, key_rows, c->block_size * step, tokens * step);
    size_t values = c->kv_heads * c->k_dim * c->block_size * e, head = c->block_size * value_row;
    copy_runs(b + values, a + values, c->kv_heads, head, (tokens + pair - 1) / pair * pair * value_row);
}

size_t nt_attention_partial_floats(const nt_attention_args *a) { return padded(a->cache.v_dim) + 16; }

size_t nt_attention_scratch_bytes(const nt_attention_args *a) {
    size_t rows = 8, tile = 128;                               // ATT_ROWS and ATT_TILE of body/attention.h
    size_t bytes = rows * (2 * nt_attention_partial_floats(a) * 4 + tile * 6 + a->cache.k_dim * 4);
    return (bytes + 63) / 64 * 64;
}

size_t nt_attention_splits(const nt_attention_args *a, size_t token_end) {
    size_t last = a->bidirectional ? a->key_count : a->first_position + token_end;
    return (last + NT_KV_SPLIT - 1) / NT_KV_SPLIT;
}
