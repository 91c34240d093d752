/// Activations narrowed for the matrix products: int8 blocks of 32, bf16, f16; weights quantised for writing. Row ranges are the caller's pointers.
#ifndef NT_QUANTIZE_H
#define NT_QUANTIZE_H

#include "nt_types.h"

/// Bytes of one q8 row of k elements, a multiple of 64. With b = ceil(k / 32) blocks the row holds
/// codes int8 [32 b] (zero beyond k), scales f32 [b], then what the products need of sums (see layouts.h), then padding.
/// x[i] = scale[i / 32] * code[i]; codes are in -127...127, round to nearest even of x * (127 / max|x|).
size_t nt_q8_row_bytes(size_t k);
/// src f32 [rows, k] (stride in floats) -> dst q8 [rows] (stride in bytes, multiple of 4).
void nt_quantize_rows_q8(const float *src, size_t src_stride, size_t rows, size_t k, void *dst, size_t dst_stride);

/// Elementwise conversions of `count` contiguous elements, round to nearest even, NaN stays NaN.
void nt_f32_to_bf16(const float *src, uint16_t *dst, size_t count);
void nt_f32_to_f16(const float *src, uint16_t *dst, size_t count);
void nt_bf16_to_f32(const uint16_t *src, float *dst, size_t count);
void nt_f16_to_f32(const uint16_t *src, float *dst, size_t count);

/// Types that `nt_quantize_row` writes: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, MXFP4.
bool nt_can_quantize(nt_type type);
/// Quantises one row: src f32 [k] -> dst, nt_row_bytes(type, k) bytes. Scales (and mins) are searched so that the sum of
/// importance * (src - written)² is small; importance f32 [k] (mean squared activation of each column) or NULL for all
/// alike. NaN is written as 0 and values are clamped to ±65504. The same bytes at every ISA level. False for other types
/// or where k is not a multiple of the block.
bool nt_quantize_row(nt_type type, const float *src, void *dst, size_t k, const float *importance);

#endif
