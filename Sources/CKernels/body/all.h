// Every kernel of one level, and the function that puts them in the table.
#pragma STDC FP_CONTRACT OFF   // fused only where vf_fma says so: the same bits wherever a helper is inlined
#pragma clang diagnostic ignored "-Wpsabi"

#include "../table.h"
#include "../layouts.h"
#include "../grouped_layout.h"
#include "../expand.h"
#include "../kv_layout.h"
#include "simd.h"
#include "vmath.h"
#include "convert.h"
#include "linear_rows.h"
#include "lookup.h"
#include "linear_packed.h"
#include "linear_grouped.h"
#include "linear_expanded.h"
#include "elementwise.h"
#include "rope.h"
#include "kv_cache.h"
#include "attention.h"
#include "latent_attention.h"
#include "attention_run.h"
#include "sampling.h"

void NT_FILL(struct nt_table *t) {
    *t = (struct nt_table){
        .linear_rows = linear_rows, .linear_packed = linear_packed, .linear_grouped = linear_grouped, .linear_expanded = linear_expanded,
        .quantize_rows_q8 = quantize_rows_q8,
        .f32_to_bf16 = f32_to_bf16, .f32_to_f16 = f32_to_f16, .bf16_to_f32 = bf16_to_f32, .f16_to_f32 = f16_to_f32,
        .rms_norm = rms_norm, .layer_norm = layer_norm, .activate = activate,
        .activate_clamped = activate_clamped,
        .add = add, .add_scaled = add_scaled, .scale = scale, .multiply = multiply, .softcap = softcap, .clamp = clamp,
        .store_rows = store_rows, .softmax_rows = softmax_rows, .rope = rope,
        .kv_write = kv_write, .attention = attention, .attention_partial = attention_partial,
        .attention_combine = attention_combine,
        .argmax = argmax, .max = max_value, .sum_exp = sum_exp, .count_larger = count_larger, .exp_shift = exp_shift,
    };
}
