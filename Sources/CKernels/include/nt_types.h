/// Element and block types. The numbers are those of GGUF tensors (ggml_type).
#ifndef NT_TYPES_H
#define NT_TYPES_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

typedef enum {
    NT_F32 = 0, NT_F16 = 1,
    NT_Q4_0 = 2, NT_Q4_1 = 3, NT_Q5_0 = 6, NT_Q5_1 = 7, NT_Q8_0 = 8, NT_Q8_1 = 9,
    NT_Q2_K = 10, NT_Q3_K = 11, NT_Q4_K = 12, NT_Q5_K = 13, NT_Q6_K = 14, NT_Q8_K = 15,
    NT_IQ2_XXS = 16, NT_IQ2_XS = 17, NT_IQ3_XXS = 18, NT_IQ1_S = 19, NT_IQ4_NL = 20, NT_IQ3_S = 21, NT_IQ2_S = 22,
    NT_IQ4_XS = 23, NT_IQ1_M = 29,
    NT_BF16 = 30, NT_TQ1_0 = 34, NT_TQ2_0 = 35, NT_MXFP4 = 39, NT_NVFP4 = 40, NT_Q1_0 = 41, NT_Q2_0 = 42,
} nt_type;

/// Elements in one block (1, 32, 64, 128 or 256), 0 for a type that is not known here.
size_t nt_block_elements(nt_type type);
/// Bytes of one block as stored in a file, 0 for a type that is not known here.
size_t nt_block_bytes(nt_type type);
/// Bytes of one stored row of `k` elements; 0 when the type is unknown or `k` is not a multiple of its block.
size_t nt_row_bytes(nt_type type, size_t k);

/// Dequantises (or widens) one stored row: dst[0..<k] f32. Every type of `nt_type`; false when it cannot
/// (unknown type or `k` not a multiple of the block). `src` may have any alignment.
bool nt_dequantize_row(nt_type type, const void *src, float *dst, size_t k);

/// Embedding lookup: dst[i, 0..<k] (row stride `dst_stride` floats) = row ids[i] of a stored matrix [rows, k].
/// An id outside 0..<rows gives a row of zeros. False as for `nt_dequantize_row`.
bool nt_gather_rows(nt_type type, const void *matrix, size_t rows, size_t k,
                    const int32_t *ids, size_t count, float *dst, size_t dst_stride);

#endif
