/// Paged KV cache and attention over it.
///
/// A page holds `block_size` tokens of all kv heads of one layer; pages of one layer lie `page_stride` bytes apart.
/// Inside a page: all keys, then all values. With B = block_size and V = v_dim rounded up to 16:
///   bf16, e4m3, e5m2   keys [kv_heads][k_dim / 2][B][2]    values [kv_heads][B / 2][V][2]
///   f32, f16, int8     keys [kv_heads][k_dim][B]           values [kv_heads][B][V]
/// so that 16 positions' scores need no sum across lanes and pairs meet the bf16 dot-product instruction. Types of one byte are followed
/// by the scales, f32: keys' [kv_heads][B], then values' [kv_heads][B]. A scale belongs to one token and head: its largest magnitude
/// becomes the type's largest number. 8-bit floats have no subnormals here: less than half the least normal number is zero.
///
/// A latent page (multi-head latent attention, arXiv 2405.04434) holds one row a token, which is key and value of every head: v_dim
/// elements of the latent, then k_dim - v_dim rotated ones, each part padded with zeros to a multiple of 32. With a type of one byte only
/// the latent is scaled so (one scale a token, f32 [B] behind the rows); the rotated part, whose range is another, stays bf16.
///
/// Only the functions here read it. Pages need no clearing: slots that no query sees are never used, whatever they hold.
#ifndef NT_ATTENTION_H
#define NT_ATTENTION_H

#include "nt_types.h"

/// Positions in one KV split: partial results are taken over [s * NT_KV_SPLIT, (s + 1) * NT_KV_SPLIT).
#define NT_KV_SPLIT 512
/// Most elements of a key or value head, and of a latent row.
#define NT_KV_MAX_DIM 512
#define NT_KV_MAX_LATENT 1024

/// Elements of the cache.
typedef enum {
    NT_KV_F32 = 0, NT_KV_F16 = 1, NT_KV_BF16 = 2,
    NT_KV_INT8 = 3,
    NT_KV_E4M3 = 4,        ///< 8-bit float, largest 448
    NT_KV_E5M2 = 5,        ///< 8-bit float, largest 57344
} nt_kv_type;

typedef struct {
    nt_kv_type type;
    bool latent;           ///< rows of latents; kv_heads is 1, v_dim the latent's elements, k_dim those and the rotated ones
    size_t block_size;     ///< tokens of a page, a multiple of 16
    size_t kv_heads;
    size_t k_dim, v_dim;   ///< even, at most NT_KV_MAX_DIM (they may differ); latent: k_dim at most NT_KV_MAX_LATENT
    size_t page_stride;    ///< bytes from page i to page i + 1 of this layer, multiple of 64
    void *pages;           ///< page 0 of this layer, 64-byte aligned
} nt_kv_cache;

/// Bytes that one layer of one page needs, a multiple of 64. Ignores page_stride and pages.
size_t nt_kv_page_bytes(const nt_kv_cache *cache);

/// Writes tokens token_begin..<token_end for kv heads head_begin..<head_end.
/// - k: f32 [tokens, kv_heads, k_dim], v: f32 [tokens, kv_heads, v_dim]; strides in floats between tokens. Latent: k is [tokens, k_dim], v is unused.
/// - slots: [tokens], page * block_size + offset in the page; a negative slot skips the token.
void nt_kv_write(const nt_kv_cache *cache, const float *k, size_t k_stride, const float *v, size_t v_stride,
                 const int64_t *slots, size_t token_begin, size_t token_end, size_t head_begin, size_t head_end);
/// Copies the first `tokens` tokens of page `from` to page `to` (copy on write of a shared, part-filled page).
void nt_kv_copy(const nt_kv_cache *cache, size_t from, size_t to, size_t tokens);

/// One sequence's queries against its cached keys and values. Query head h uses kv head h / (heads / kv_heads).
typedef struct {
    nt_kv_cache cache;
    const int32_t *block_table;  ///< page of positions [i * block_size, (i + 1) * block_size)
    const float *q;              ///< f32 [tokens, heads, k_dim], rotated; head stride k_dim. Latent: [tokens, heads, v_dim]
    size_t q_stride;             ///< floats between tokens
    const float *q_rotary;       ///< latent: the k_dim - v_dim rotated elements of a query head
    size_t q_rotary_stride;      ///< floats between tokens
    size_t q_rotary_head;        ///< floats between heads
    float *out;                  ///< f32 [tokens, heads, v_dim]; head stride v_dim
    size_t out_stride;           ///< floats between tokens
    size_t heads;
    size_t first_position;       ///< position of query token 0; token t stands at first_position + t
    float scale;                 ///< factor on q·k
    float softcap;               ///< 0 = none; else s = softcap * tanh(s / softcap)
    size_t window;               ///< 0 = none; else a query sees itself and the window - 1 positions before it
    const float *alibi_slopes;   ///< [heads] or NULL: adds slope * (key position - query position)
    const float *sinks;          ///< [heads] or NULL: one more logit of each row, without a value
    bool bidirectional;          ///< false = causal; true: every query sees positions 0..<key_count
    size_t key_count;            ///< read only when bidirectional
} nt_attention_args;

/// Scratch of one call on one thread, 64-byte aligned.
size_t nt_attention_scratch_bytes(const nt_attention_args *args);

// Below, head_begin..<head_end are query heads of one kv head (all that share it are fastest; any cut gives the same bits).

/// out for query tokens token_begin..<token_end and those heads, all splits in order.
void nt_attention(const nt_attention_args *args, size_t head_begin, size_t head_end, size_t token_begin, size_t token_end, void *scratch);

/// Splits that positions up to the last query token of the range cover: 0..<result (splits wholly before a sliding
/// window are included and cost nothing).
size_t nt_attention_splits(const nt_attention_args *args, size_t token_end);
/// Floats of one partial (one query row: one token of one head), a multiple of 16.
size_t nt_attention_partial_floats(const nt_attention_args *args);
/// Partial result of one split. partials: [(token_end - token_begin) * (head_end - head_begin)], token-major.
void nt_attention_partial(const nt_attention_args *args, size_t head_begin, size_t head_end, size_t token_begin, size_t token_end,
                          size_t split, float *partials, void *scratch);
/// Merges partials [splits][rows] (as laid out by nt_attention_partial, `splits` of them one after another) in order
/// into out. The same bits as nt_attention. Changes `partials`.
void nt_attention_combine(const nt_attention_args *args, size_t head_begin, size_t head_end, size_t token_begin, size_t token_end,
                          size_t splits, float *partials);

#endif
