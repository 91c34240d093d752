/// Matrix products y = x Wᵀ (+ bias), over weights as stored in a checkpoint or repacked block types.
#ifndef NT_LINEAR_H
#define NT_LINEAR_H

#include "nt_types.h"

/// How the rows of x are stored.
typedef enum {
    NT_ACT_F32 = 0,   ///< float
    NT_ACT_BF16 = 1,  ///< bfloat16
    NT_ACT_Q8 = 2,    ///< int8 in blocks of 32, see nt_quantize.h
} nt_act;

/// True for block types that are multiplied from panels made by `nt_pack`:
/// Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, MXFP4. All others are read as stored.
bool nt_type_is_packable(nt_type type);
/// Bytes of the packed form of [n, k]; 0 when the type is not packable or k is not a multiple of its block.
size_t nt_packed_bytes(nt_type type, size_t n, size_t k);
/// Panels (16 rows each, the last padded with zero rows) of n rows.
static inline size_t nt_panels(size_t n) { return (n + 15) / 16; }
/// Repacks panels panel_begin..<panel_end of `src` ([n, k] as stored in the file, any alignment) into `dst`
/// (the whole buffer of nt_packed_bytes, 64-byte aligned for speed). Ranges may run on different threads.
void nt_pack(nt_type type, const void *src, size_t n, size_t k, void *dst, size_t panel_begin, size_t panel_end);

/// Whether `nt_linear` takes this pair: f32 with every weight type; bf16 with bf16; q8 with every block type.
bool nt_linear_supports(nt_act act, nt_type weight);

typedef struct {
    const void *x;        ///< [m, k] activations
    size_t x_stride;      ///< bytes between rows of x (multiple of 4; q8: nt_q8_row_bytes(k) or more)
    nt_act x_type;
    const void *w;        ///< [n, k] row-major as stored (any alignment), or the buffer made by nt_pack or nt_grouped_pack
    size_t w_stride;      ///< bytes between rows of w, row-major types only; 0 = tightly packed
    nt_type w_type;
    const struct nt_grouped *grouped;  ///< of panels made by nt_grouped_pack, whose w_type does not count; else NULL
    size_t m, n, k;
    size_t n_begin, n_end;  ///< columns of y to compute; multiples of 16 are fastest, any split gives the same bits
    const float *bias;    ///< [n] or NULL
    float *y;             ///< [m, n] f32, column 0 at y[0] (n_begin does not shift it)
    size_t y_stride;      ///< floats between rows of y
    bool accumulate;      ///< y = y + (dot + bias) instead of y = dot + bias
    void *scratch;        ///< nt_linear_scratch_bytes(...) bytes owned by this thread, 64-byte aligned; NULL if that is 0
    size_t scratch_bytes; ///< of scratch, for grouped weights: 0 or less than nt_grouped_scratch_bytes only costs time
} nt_linear_args;

/// Scratch that one call of nt_linear needs: 0 but for block types without panels, 16 rows of which are expanded there.
/// Never less for a larger m.
size_t nt_linear_scratch_bytes(nt_act act, nt_type weight, size_t m, size_t k);

/// Computes y[0..<m, n_begin..<n_end]. Weights are read once per call for small m; for large m a panel of weights
/// stays in cache while all rows of x pass over it, so give a call all rows and cut the work along n.
void nt_linear(const nt_linear_args *args);

#endif
