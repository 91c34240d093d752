// Chooses the level once and forwards every public kernel through the table.
#include "table.h"
#include "expand.h"
#include "layouts.h"
#include <math.h>
#include <stdatomic.h>

struct nt_table nt_kernels;
static nt_isa current;
static atomic_int state;   // 0 = empty, 1 = being filled, 2 = ready

nt_isa nt_cpu_best_isa(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))) return NT_ISA_PORTABLE;
    if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
          && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"))) return NT_ISA_AVX2;
    return __builtin_cpu_supports("avx512bf16") ? NT_ISA_AVX512_BF16 : NT_ISA_AVX512;
#else
    return NT_ISA_PORTABLE;
#endif
}

static void fill(nt_isa level) {
    switch (level) {
#if defined(__x86_64__)
    case NT_ISA_AVX512_BF16: nt_fill_avx512_bf16(&nt_kernels); break;
    case NT_ISA_AVX512: nt_fill_avx512(&nt_kernels); break;
    case NT_ISA_AVX2: nt_fill_avx2(&nt_kernels); break;
#endif
    default: nt_fill_portable(&nt_kernels); level = NT_ISA_PORTABLE;
    }
    current = level;
}

void nt_kernels_init(void) {
    int empty = 0;
    if (atomic_compare_exchange_strong(&state, &empty, 1)) {
        nt_codebooks_init();
        fill(nt_cpu_best_isa());
        atomic_store_explicit(&state, 2, memory_order_release);
    }
    while (atomic_load_explicit(&state, memory_order_acquire) != 2) nt_cpu_pause();
}

/// At load, so that no caller can meet an empty table.
__attribute__((constructor)) static void init_at_load(void) { nt_kernels_init(); }

nt_isa nt_cpu_isa(void) { return current; }

nt_isa nt_set_isa(nt_isa level) {
    nt_kernels_init();
    nt_isa best = nt_cpu_best_isa();
    fill(level < best ? level : best);
    return current;
}

const char *nt_isa_name(nt_isa level) {
    switch (level) {
    case NT_ISA_AVX2: return "avx2";
    case NT_ISA_AVX512: return "avx512";
    case NT_ISA_AVX512_BF16: return "avx512-bf16";
    default: return "portable";
    }
}

// ---- linear ----

bool nt_linear_supports(nt_act act, nt_type weight) {
    switch (act) {
    case NT_ACT_F32: return nt_block_elements(weight) > 0;
    case NT_ACT_BF16: return weight == NT_BF16;
    case NT_ACT_Q8: return nt_block_elements(weight) > 1;
    }
    return false;
}

void nt_linear(const nt_linear_args *a) {
    if (a->m == 0 || a->n_begin >= a->n_end) return;
    if (a->grouped) nt_kernels.linear_grouped(a);
    else if (nt_type_is_packable(a->w_type)) nt_kernels.linear_packed(a);
    else if (type_is_expanded(a->w_type)) nt_kernels.linear_expanded(a);
    else nt_kernels.linear_rows(a);
}

// ---- rows and elements ----

size_t nt_q8_row_bytes(size_t k) { return q8_layout(k).bytes; }
void nt_quantize_rows_q8(const float *src, size_t src_stride, size_t rows, size_t k, void *dst, size_t dst_stride) {
    nt_kernels.quantize_rows_q8(src, src_stride, rows, k, dst, dst_stride);
}
void nt_f32_to_bf16(const float *src, uint16_t *dst, size_t count) { nt_kernels.f32_to_bf16(src, dst, count); }
void nt_f32_to_f16(const float *src, uint16_t *dst, size_t count) { nt_kernels.f32_to_f16(src, dst, count); }
void nt_bf16_to_f32(const uint16_t *src, float *dst, size_t count) { nt_kernels.bf16_to_f32(src, dst, count); }
void nt_f16_to_f32(const uint16_t *src, float *dst, size_t count) { nt_kernels.f16_to_f32(src, dst, count); }
void nt_rms_norm(const float *x, size_t x_stride, size_t rows, size_t k, const float *weight, float weight_offset, float eps, nt_out out) {
    nt_kernels.rms_norm(x, x_stride, rows, k, weight, weight_offset, eps, out);
}
void nt_layer_norm(const float *x, size_t x_stride, size_t rows, size_t k, const float *weight, const float *bias, float eps, nt_out out) {
    nt_kernels.layer_norm(x, x_stride, rows, k, weight, bias, eps, out);
}
void nt_activate(nt_activation f, const float *gate, size_t gate_stride, const float *up, size_t up_stride,
                 size_t rows, size_t k, nt_out out) {
    nt_kernels.activate(f, gate, gate_stride, up, up_stride, rows, k, out);
}
void nt_activate_clamped(float alpha, float limit, const float *gate, size_t gate_stride, const float *up, size_t up_stride,
                         size_t rows, size_t k, nt_out out) {
    nt_kernels.activate_clamped(alpha, limit, gate, gate_stride, up, up_stride, rows, k, out);
}
void nt_add(float *y, const float *x, size_t count) { nt_kernels.add(y, x, count); }
void nt_add_scaled(float *y, const float *x, float factor, size_t count) { nt_kernels.add_scaled(y, x, factor, count); }
void nt_scale(float *y, const float *x, float factor, size_t count) { nt_kernels.scale(y, x, factor, count); }
void nt_multiply(float *y, const float *x, size_t count) { nt_kernels.multiply(y, x, count); }
void nt_softcap(float *x, float cap, size_t count) { nt_kernels.softcap(x, cap, count); }
void nt_clamp(float *x, float limit, size_t count) { nt_kernels.clamp(x, limit, count); }
void nt_store_rows(const float *x, size_t x_stride, size_t rows, size_t k, nt_out out) { nt_kernels.store_rows(x, x_stride, rows, k, out); }
void nt_softmax_rows(float *x, size_t x_stride, size_t rows, size_t k) { nt_kernels.softmax_rows(x, x_stride, rows, k); }
void nt_rope(float *x, size_t tokens, size_t token_stride, size_t heads, size_t head_dim, size_t rot,
             const float *cos, const float *sin, const int32_t *rows, nt_rope_style style) {
    nt_kernels.rope(x, tokens, token_stride, heads, head_dim, rot, cos, sin, rows, style);
}

// ---- attention ----

void nt_kv_write(const nt_kv_cache *cache, const float *k, size_t k_stride, const float *v, size_t v_stride,
                 const int64_t *slots, size_t token_begin, size_t token_end, size_t head_begin, size_t head_end) {
    nt_kernels.kv_write(cache, k, k_stride, v, v_stride, slots, token_begin, token_end, head_begin, head_end);
}
void nt_attention(const nt_attention_args *args, size_t head_begin, size_t head_end, size_t token_begin, size_t token_end, void *scratch) {
    nt_kernels.attention(args, head_begin, head_end, token_begin, token_end, scratch);
}
void nt_attention_partial(const nt_attention_args *args, size_t head_begin, size_t head_end, size_t token_begin, size_t token_end,
                          size_t split, float *partials, void *scratch) {
    nt_kernels.attention_partial(args, head_begin, head_end, token_begin, token_end, split, partials, scratch);
}
void nt_attention_combine(const nt_attention_args *args, size_t head_begin, size_t head_end, size_t token_begin, size_t token_end,
                          size_t splits, float *partials) {
    nt_kernels.attention_combine(args, head_begin, head_end, token_begin, token_end, splits, partials);
}

// ---- sampling ----

size_t nt_argmax(const float *x, size_t count) { return nt_kernels.argmax(x, count); }
float nt_max(const float *x, size_t count) { return nt_kernels.max(x, count); }
float nt_sum_exp(const float *x, size_t count, float shift) { return nt_kernels.sum_exp(x, count, shift); }
float nt_logsumexp(const float *x, size_t count) {
    float top = nt_kernels.max(x, count);
    if (!(top > -INFINITY && top < INFINITY)) return top;
    return top + logf(nt_kernels.sum_exp(x, count, top));
}
size_t nt_count_larger(const float *x, size_t count, float value) { return nt_kernels.count_larger(x, count, value); }
void nt_exp_shift(float *y, const float *x, size_t count, float shift) { nt_kernels.exp_shift(y, x, count, shift); }
