/// Where things lie in a page of the KV cache; the layout itself is told in include/nt_attention.h.
#ifndef NT_KV_LAYOUT_H
#define NT_KV_LAYOUT_H

#include "include/nt_attention.h"

static inline size_t kv_round(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }
/// Types of one byte, which have a scale for each token.
static inline bool kv_is_scaled(nt_kv_type t) { return t >= NT_KV_INT8; }
static inline size_t kv_element(nt_kv_type t) { return t == NT_KV_F32 ? 4 : kv_is_scaled(t) ? 1 : 2; }
/// Types that meet the bf16 dot product, two neighbours a lane.
static inline bool kv_is_paired(nt_kv_type t) { return t == NT_KV_BF16 || t >= NT_KV_E4M3; }

/// A page of keys and values.
struct kv_page {
    size_t element;                   // bytes
    size_t pair;                      // 2 for paired types, else 1
    size_t v_padded;                  // v_dim rounded up to 16
    size_t key_head, value_head;      // bytes of one kv head's keys, values
    size_t values;                    // offset of the values
    size_t key_scales, value_scales;  // offsets, f32 [kv_heads][block_size]
    size_t bytes;
};
static inline struct kv_page kv_page(const nt_kv_cache *c) {
    size_t e = kv_element(c->type), v = kv_round(c->v_dim, 16), key = c->k_dim * c->block_size * e, value = v * c->block_size * e;
    size_t data = c->kv_heads * (key + value), scales = kv_is_scaled(c->type) ? c->kv_heads * c->block_size * 4 : 0;
    return (struct kv_page){e, kv_is_paired(c->type) ? 2 : 1, v, key, value, c->kv_heads * key, data, data + scales, data + 2 * scales};
}

/// A page of latents.
struct latent_page {
    size_t element, rotary_element;   // bytes
    size_t dims, rotary_dims;         // elements of each part, rounded up to 32
    size_t rotary;                    // offset of the rotated part in a row
    size_t row;                       // bytes of a token
    size_t scales;                    // offset of the scales, f32 [block_size]
    size_t bytes;
};
static inline struct latent_page latent_page(const nt_kv_cache *c) {
    bool scaled = kv_is_scaled(c->type);
    size_t e = kv_element(c->type), re = scaled ? 2 : e, n = kv_round(c->v_dim, 32), rn = kv_round(c->k_dim - c->v_dim, 32);
    size_t row = n * e + rn * re, data = row * c->block_size;
    return (struct latent_page){e, re, n, rn, n * e, row, data, data + (scaled ? c->block_size * 4 : 0)};
}

#endif
