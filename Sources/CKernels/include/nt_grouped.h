/// Weights as small codes with a scale for each group of columns (AWQ, GPTQ, int8, FP8, NF4, MXFP4), repacked in panels for `nt_linear`.
#ifndef NT_GROUPED_H
#define NT_GROUPED_H

#include "nt_linear.h"

typedef enum {
    NT_CODE_UINT4 = 0,   ///< nibbles 0...15, two a byte, the even column low
    NT_CODE_INT8 = 1,    ///< two's complement
    NT_CODE_FLOAT8 = 2,  ///< e4m3 without infinities; the two NaN codes count as 480 and -480
    NT_CODE_TABLE4 = 3,  ///< nibbles that pick one of 16 values
} nt_code;

/// A matrix as a checkpoint's reader hands it over: w[row, j] = (value(code) - zeros[row, j / group]) * scales[row, j / group].
typedef struct {
    nt_code code;
    size_t n, k;
    size_t group;          ///< columns that share a scale, at least 1; the last group of a row may have fewer
    const uint8_t *codes;  ///< [n, k] bytes, or [n, (k + 1) / 2] bytes of nibbles
    const float *scales;   ///< [n, ceil(k / group)]
    const float *zeros;    ///< the same shape, or NULL for none
    const float *table;    ///< [16], NT_CODE_TABLE4 only
} nt_grouped_source;

typedef enum {
    NT_ZERO_SAME = 0,  ///< one whole number for the matrix, in `nt_grouped.zero`
    NT_ZERO_I8 = 1,    ///< whole numbers, a byte each
    NT_ZERO_F32 = 2,
} nt_zero_kind;

/// How a matrix lies in its panels: made by `nt_grouped_plan`, only read afterwards, needed by every product.
typedef struct nt_grouped {
    nt_code code;
    size_t group;           ///< 16, or a multiple of 32
    nt_type scale_type;     ///< the narrowest of f16, bf16 and f32 that holds every scale exactly
    nt_zero_kind zero_kind;
    int32_t zero;
    bool integers;          ///< multiplied with NT_ACT_Q8, else with NT_ACT_BF16
    float table[16];        ///< values of NT_CODE_TABLE4
    uint8_t codes[16];      ///< with `integers`: value = (code - zero) * factor
    uint16_t words[32];     ///< else the values rounded to bfloat16, twice
    float factor;
} nt_grouped;

/// Chooses the layout. False where there is no product for it: a group that is neither a multiple of 16 nor as long as the row, or zeros
/// beside codes that have none; such a matrix can be widened with `nt_grouped_dequantize_row`.
bool nt_grouped_plan(const nt_grouped_source *source, nt_grouped *plan);
/// Bytes of the panels, a multiple of 64.
size_t nt_grouped_bytes(const nt_grouped *plan, size_t n, size_t k);
/// Writes panels panel_begin..<panel_end (of nt_panels(n)) into `dst`, the whole buffer. Ranges may run on different threads.
void nt_grouped_pack(const nt_grouped_source *source, const nt_grouped *plan, void *dst, size_t panel_begin, size_t panel_end);
/// What the activations are best rounded to; `nt_linear` takes this and NT_ACT_F32.
static inline nt_act nt_grouped_activation(const nt_grouped *plan) { return plan->integers ? NT_ACT_Q8 : NT_ACT_BF16; }
/// Work space with which a product of m rows in float32 is faster: a panel is then decoded once for all of them, to the same bits.
/// 0 where it helps nothing.
size_t nt_grouped_scratch_bytes(const nt_grouped *plan, nt_act act, size_t m, size_t k);
/// Row `row` as float32, dst[0..<k].
void nt_grouped_dequantize_row(const nt_grouped_source *source, size_t row, float *dst);

#endif
