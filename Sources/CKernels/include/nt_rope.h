/// Rotary position embedding.
#ifndef NT_ROPE_H
#define NT_ROPE_H

#include "nt_types.h"

typedef enum {
    NT_ROPE_HALF = 0,         ///< pairs (i, i + rot/2): Llama, GPT-NeoX as stored by Hugging Face
    NT_ROPE_INTERLEAVED = 1,  ///< pairs (2i, 2i + 1): GPT-J, GGUF Llama
} nt_rope_style;

/// Rotates the first `rot` dims of every head in place: (a, b) -> (a cos - b sin, b cos + a sin).
/// - x: f32 [tokens, heads, head_dim], strides in floats: token_stride between tokens, head_dim between heads.
/// - cos, sin: f32 [positions, rot/2], row stride rot/2; token t uses row rows[t], or row t when rows is NULL.
void nt_rope(float *x, size_t tokens, size_t token_stride, size_t heads, size_t head_dim, size_t rot,
             const float *cos, const float *sin, const int32_t *rows, nt_rope_style style);

#endif
