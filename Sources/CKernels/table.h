/// The table of kernels of the level in use. One field a dispatched operation; filled by fill_* of each level.
#ifndef NT_TABLE_H
#define NT_TABLE_H

#include "include/CKernels.h"

struct nt_table {
    void (*linear_rows)(const nt_linear_args *);
    void (*linear_packed)(const nt_linear_args *);
    void (*linear_grouped)(const nt_linear_args *);
    void (*linear_expanded)(const nt_linear_args *);
    void (*quantize_rows_q8)(const float *, size_t, size_t, size_t, void *, size_t);
    void (*f32_to_bf16)(const float *, uint16_t *, size_t);
    void (*f32_to_f16)(const float *, uint16_t *, size_t);
    void (*bf16_to_f32)(const uint16_t *, float *, size_t);
    void (*f16_to_f32)(const uint16_t *, float *, size_t);
    void (*rms_norm)(const float *, size_t, size_t, size_t, const float *, float, float, nt_out);
    void (*layer_norm)(const float *, size_t, size_t, size_t, const float *, const float *, float, nt_out);
    void (*activate)(nt_activation, const float *, size_t, const float *, size_t, size_t, size_t, nt_out);
    void (*activate_clamped)(float, float, const float *, size_t, const float *, size_t, size_t, size_t, nt_out);
    void (*add)(float *, const float *, size_t);
    void (*add_scaled)(float *, const float *, float, size_t);
    void (*scale)(float *, const float *, float, size_t);
    void (*multiply)(float *, const float *, size_t);
    void (*softcap)(float *, float, size_t);
    void (*clamp)(float *, float, size_t);
    void (*store_rows)(const float *, size_t, size_t, size_t, nt_out);
    void (*softmax_rows)(float *, size_t, size_t, size_t);
    void (*rope)(float *, size_t, size_t, size_t, size_t, size_t, const float *, const float *, const int32_t *, nt_rope_style);
    void (*kv_write)(const nt_kv_cache *, const float *, size_t, const float *, size_t, const int64_t *,
                     size_t, size_t, size_t, size_t);
    void (*attention)(const nt_attention_args *, size_t, size_t, size_t, size_t, void *);
    void (*attention_partial)(const nt_attention_args *, size_t, size_t, size_t, size_t, size_t, float *, void *);
    void (*attention_combine)(const nt_attention_args *, size_t, size_t, size_t, size_t, size_t, float *);
    size_t (*argmax)(const float *, size_t);
    float (*max)(const float *, size_t);
    float (*sum_exp)(const float *, size_t, float);
    size_t (*count_larger)(const float *, size_t, float);
    void (*exp_shift)(float *, const float *, size_t, float);
};

extern struct nt_table nt_kernels;

void nt_fill_portable(struct nt_table *);
void nt_fill_avx2(struct nt_table *);
void nt_fill_avx512(struct nt_table *);
void nt_fill_avx512_bf16(struct nt_table *);

#endif
