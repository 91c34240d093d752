// One thread, one line a kernel and shape: rate and share of this machine's peak, measured in the same run.
//     kernels-bench [--isa 0...3] [--only WORD]
// Peaks: a read of 1 GiB for streaming kernels, fused multiply-adds kept in registers for the others (f32 x 1,
// bf16 x 2, int8 x 4, which is what the vdpbf16ps and vpdpbusd instructions do per issue).
#include "grouped.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);   // a shared machine: time on the core, not on the wall
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const char *only;
static double peak_read, peak_fma;   // GB/s, Gflop/s

static uint32_t seed = 1;
static uint32_t next(void) { return seed = seed * 1664525u + 1013904223u; }
static float uniform(void) { return (float)(next() >> 8) / 8388608.0f - 1.0f; }

static void *room(size_t bytes) {
    bytes = (bytes + 4095) / 4096 * 4096;
    void *p = aligned_alloc(4096, bytes);
    if (!p) { fprintf(stderr, "out of memory\n"); exit(1); }
    memset(p, 0, bytes);
    return p;
}
static float *floats(size_t count) {
    float *p = room(count * 4);
    for (size_t i = 0; i < count; i++) p[i] = uniform();
    return p;
}

/// Seconds of the best of several runs of `body`.
#define TIME(body) ({                                              \
    double best = 1e9, spent = 0;                                  \
    for (int run = 0; run < 200 && (run < 3 || spent < 0.25); run++) { \
        double begin = now();                                      \
        body;                                                      \
        double t = now() - begin;                                  \
        spent += t;                                                \
        if (t < best) best = t;                                    \
    }                                                              \
    best; })

static void measure_peaks(void) {
    size_t bytes = (size_t)1 << 30;
    char *p = room(bytes);
    memset(p, 1, bytes);
    volatile float sink = 0;
    double t = TIME(sink = sink + nt_max((const float *)(void *)p, bytes / 4));
    peak_read = (double)bytes / t / 1e9;
    free(p);
    enum { K = 4096 };                                        // 4 x 4 tile from first-level cache
    float *x = floats(4 * K / 4), *w = floats(4 * K / 4), y[16];
    nt_linear_args a = {.x = x, .x_stride = K, .x_type = NT_ACT_F32, .w = w, .w_type = NT_F32, .m = 4, .n = 4, .k = K / 4,
                        .n_end = 4, .y = y, .y_stride = 4};
    t = TIME(for (int i = 0; i < 2000; i++) nt_linear(&a));
    peak_fma = 2.0 * 4 * 4 * (K / 4) * 2000 / t / 1e9;
    free(x);
    free(w);
}

static bool wanted(const char *name) { return !only || strstr(name, only); }
static void line_rate(const char *name, double bytes, double t) {
    printf("%-44s %8.1f GB/s  %5.1f %% of read      %9.1f us\n", name, bytes / t / 1e9, 100 * bytes / t / 1e9 / peak_read, t * 1e6);
    fflush(stdout);
}
static void line_flops(const char *name, double ops, double t, double peak) {
    printf("%-44s %8.1f Gop/s %5.1f %% of peak      %9.1f us\n", name, ops / t / 1e9, 100 * ops / t / 1e9 / peak, t * 1e6);
    fflush(stdout);
}

static const char *type_name(nt_type t) {
    switch (t) {
    case NT_F32: return "f32";
    case NT_F16: return "f16";
    case NT_BF16: return "bf16";
    case NT_Q4_0: return "q4_0";
    case NT_Q4_1: return "q4_1";
    case NT_Q5_0: return "q5_0";
    case NT_Q5_1: return "q5_1";
    case NT_Q8_0: return "q8_0";
    case NT_Q4_K: return "q4_k";
    case NT_Q5_K: return "q5_k";
    case NT_Q6_K: return "q6_k";
    case NT_Q2_K: return "q2_k";
    case NT_Q3_K: return "q3_k";
    case NT_IQ4_NL: return "iq4_nl";
    case NT_IQ4_XS: return "iq4_xs";
    case NT_MXFP4: return "mxfp4";
    case NT_IQ1_S: return "iq1_s";
    case NT_IQ1_M: return "iq1_m";
    case NT_IQ2_XXS: return "iq2_xxs";
    case NT_IQ2_XS: return "iq2_xs";
    case NT_IQ2_S: return "iq2_s";
    case NT_IQ3_XXS: return "iq3_xxs";
    case NT_IQ3_S: return "iq3_s";
    case NT_TQ1_0: return "tq1_0";
    case NT_TQ2_0: return "tq2_0";
    case NT_NVFP4: return "nvfp4";
    case NT_Q1_0: return "q1_0";
    case NT_Q2_0: return "q2_0";
    default: return "?";
    }
}

static void bench_linear(nt_act act, nt_type type, size_t n, size_t k) {
    static const size_t heights[] = {1, 2, 4, 8, 16, 64, 512};
    size_t bytes = nt_row_bytes(type, k) * n;
    if (bytes == 0) return;
    // several copies, so that m = 1 streams from memory as a model's layers do
    size_t packed = nt_packed_bytes(type, n, k), size = ((packed ? packed : bytes) + 63) / 64 * 64;
    size_t copies = ((size_t)192 << 20) / size + 1;
    char *w = room(copies * size), *stored = room(bytes);
    for (size_t i = 0; i < bytes; i++) stored[i] = (char)(next() >> 24);
    if (type == NT_F32 || type == NT_F16 || type == NT_BF16)
        for (size_t i = 0; i < bytes; i++) stored[i] = (char)(stored[i] & 0x3f);
    for (size_t c = 0; c < copies; c++) {
        if (packed && c == 0) nt_pack(type, stored, n, k, w, 0, nt_panels(n));
        else memcpy(w + c * size, packed ? w : stored, packed ? packed : bytes);
    }
    float *x = floats(512 * k), *y = room(512 * n * 4);
    char *narrow = room(512 * (nt_q8_row_bytes(k) + 2 * k)), *scratch = room(nt_linear_scratch_bytes(act, type, 512, k) + 64);
    if (act == NT_ACT_BF16) nt_f32_to_bf16(x, (uint16_t *)(void *)narrow, 512 * k);
    if (act == NT_ACT_Q8) nt_quantize_rows_q8(x, k, 512, k, narrow, nt_q8_row_bytes(k));
    for (size_t i = 0; i < sizeof heights / sizeof *heights; i++) {
        size_t m = heights[i], turn = 0;
        char name[96];
        snprintf(name, sizeof name, "linear %s x %s m=%zu n=%zu k=%zu",
                 act == NT_ACT_F32 ? "f32" : act == NT_ACT_BF16 ? "bf16" : "q8", type_name(type), m, n, k);
        if (!wanted(name)) continue;
        nt_linear_args a = {.x = act == NT_ACT_F32 ? (void *)x : (void *)narrow,
                            .x_stride = act == NT_ACT_F32 ? 4 * k : act == NT_ACT_BF16 ? 2 * k : nt_q8_row_bytes(k),
                            .x_type = act, .w_type = type, .m = m, .n = n, .k = k, .n_end = n, .y = y, .y_stride = n,
                            .scratch = scratch};
        double t = TIME(for (size_t c = 0; c < (m <= 16 ? copies : 1); c++) { a.w = w + turn * size; turn = (turn + 1) % copies; nt_linear(&a); })
            / (double)(m <= 16 ? copies : 1);
        if (m <= 4) line_rate(name, (double)bytes, t);
        else line_flops(name, 2.0 * (double)m * (double)n * (double)k, t,
                        peak_fma * (act == NT_ACT_F32 ? 1 : act == NT_ACT_BF16 && nt_cpu_isa() == NT_ISA_AVX512_BF16 ? 2 : act == NT_ACT_Q8 ? 4 : 1));
    }
    free(w); free(stored); free(x); free(y); free(narrow); free(scratch);
}

static const char *kv_name(nt_kv_type t) {
    static const char *const names[] = {"f32", "f16", "bf16", "int8", "e4m3", "e5m2"};
    return names[t];
}

/// rank = 0: heads of `dim` elements; else latents of rank + dim.
static void bench_attention(nt_kv_type type, size_t heads, size_t kv_heads, size_t dim, size_t rank, size_t context, size_t tokens) {
    char name[128];
    size_t k_dim = rank + dim, v_dim = rank ? rank : dim;
    snprintf(name, sizeof name, "attention %s heads=%zu/%zu dim=%zu+%zu context=%zu tokens=%zu", kv_name(type), heads, kv_heads, rank, dim, context, tokens);
    if (!wanted(name)) return;
    nt_kv_cache cache = {.type = type, .latent = rank > 0, .block_size = 32, .kv_heads = kv_heads, .k_dim = k_dim, .v_dim = v_dim};
    size_t pages = (context + 31) / 32;
    cache.page_stride = nt_kv_page_bytes(&cache);
    cache.pages = room(pages * cache.page_stride);
    int32_t *table = room(pages * 4);
    int64_t *slots = room(context * 8);
    for (size_t i = 0; i < pages; i++) table[i] = (int32_t)(pages - 1 - i);
    for (size_t i = 0; i < context; i++) slots[i] = table[i / 32] * 32 + (int64_t)(i % 32);
    float *k = floats(context * kv_heads * k_dim), *v = floats(context * kv_heads * v_dim), *q = floats(tokens * heads * k_dim);
    double t = TIME(nt_kv_write(&cache, k, kv_heads * k_dim, v, kv_heads * v_dim, slots, 0, context, 0, kv_heads));
    char write_name[160];
    snprintf(write_name, sizeof write_name, "kv write %s %zu tokens of %zu", kv_name(type), context, kv_heads * (rank ? k_dim : k_dim + v_dim));
    line_rate(write_name, (double)(context * kv_heads * (rank ? k_dim : k_dim + v_dim) * 4), t);
    nt_attention_args a = {.cache = cache, .block_table = table, .q = q, .q_stride = heads * (rank ? rank : dim),
                           .q_rotary = q, .q_rotary_stride = heads * dim, .q_rotary_head = dim,
                           .out = floats(tokens * heads * v_dim), .out_stride = heads * v_dim, .heads = heads,
                           .first_position = context - tokens, .scale = 1 / sqrtf((float)k_dim)};
    void *scratch = room(nt_attention_scratch_bytes(&a));
    t = TIME(for (size_t h = 0; h < kv_heads; h++) nt_attention(&a, h * heads / kv_heads, (h + 1) * heads / kv_heads, 0, tokens, scratch));
    double pairs = 0;
    for (size_t i = 0; i < tokens; i++) pairs += (double)(context - tokens + i + 1);
    if (tokens == 1) line_rate(name, (double)(context / 32 * cache.page_stride), t);
    line_flops(name, pairs * (double)heads * (double)(k_dim + v_dim) * 2, t, peak_fma * (type == NT_KV_BF16 && nt_cpu_isa() == NT_ISA_AVX512_BF16 ? 2 : 1));
    free(cache.pages); free(table); free(slots); free(k); free(v); free(q); free(a.out); free(scratch);
}

static void bench_rows(void) {
    enum { M = 512, K = 576, I = 1536, VOCAB = 49152 };
    float *x = floats((size_t)M * 2 * I), *w = floats(2 * I), *y = floats((size_t)M * 2 * I);
    char *q = room(M * 4 * I);
    nt_out f32 = {y, K * 4, NT_ACT_F32}, bf16 = {q, I * 2, NT_ACT_BF16}, q8 = {q, nt_q8_row_bytes(I), NT_ACT_Q8};
    double t;
#define ROW(name, bytes, call) if (wanted(name)) { t = TIME(call); line_rate(name, (double)(bytes), t); }
    ROW("rms_norm 512x576 -> f32", 4 * M * K, nt_rms_norm(x, K, M, K, w, 0, 1e-5f, f32))
    ROW("rms_norm 512x576 -> bf16", 4 * M * K, nt_rms_norm(x, K, M, K, w, 0, 1e-5f, bf16))
    ROW("rms_norm 512x576 -> q8", 4 * M * K, nt_rms_norm(x, K, M, K, w, 0, 1e-5f, q8))
    ROW("layer_norm 512x576 -> f32", 4 * M * K, nt_layer_norm(x, K, M, K, w, w, 1e-5f, f32))
    ROW("silu*up 512x1536 -> bf16", 8 * M * I, nt_activate(NT_SILU, x, 2 * I, x + I, 2 * I, M, I, bf16))
    ROW("silu*up 512x1536 -> q8", 8 * M * I, nt_activate(NT_SILU, x, 2 * I, x + I, 2 * I, M, I, q8))
    ROW("gelu_tanh 512x1536 -> bf16", 4 * M * I, nt_activate(NT_GELU_TANH, x, 2 * I, NULL, 0, M, I, bf16))
    ROW("gelu_erf 512x1536 -> bf16", 4 * M * I, nt_activate(NT_GELU_ERF, x, 2 * I, NULL, 0, M, I, bf16))
    ROW("quantize q8 512x1536", 4 * M * I, nt_quantize_rows_q8(x, I, M, I, q, nt_q8_row_bytes(I)))
    ROW("add 512x576", 8 * M * K, nt_add(y, x, M * K))
    float *cos = floats(M * 32), *sin = floats(M * 32);
    ROW("rope half 512 x 9 x 64", 8 * M * K, nt_rope(y, M, K, 9, 64, 64, cos, sin, NULL, NT_ROPE_HALF))
    ROW("rope interleaved 512 x 9 x 64", 8 * M * K, nt_rope(y, M, K, 9, 64, 64, cos, sin, NULL, NT_ROPE_INTERLEAVED))
    volatile double sink = 0;
    ROW("argmax 49152", 4 * VOCAB, sink = sink + (double)nt_argmax(x, VOCAB))
    ROW("sum_exp 49152", 4 * VOCAB, sink = sink + (double)nt_sum_exp(x, VOCAB, 1))
    ROW("count_larger 49152", 4 * VOCAB, sink = sink + (double)nt_count_larger(x, VOCAB, 0.5f))
    free(x); free(w); free(y); free(q); free(cos); free(sin);
}

int main(int argc, char **argv) {
    nt_kernels_init();
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--isa") == 0) nt_set_isa((nt_isa)atoi(argv[i + 1]));
        else if (strcmp(argv[i], "--only") == 0) only = argv[i + 1];
    }
    if (only && strncmp(only, "grouped", 7) == 0) { bench_grouped(only); return 0; }
    measure_peaks();
    printf("isa %s, read %.1f GB/s, f32 tile in first-level cache %.1f Gflop/s\n", nt_isa_name(nt_cpu_isa()), peak_read, peak_fma);
    bench_linear(NT_ACT_BF16, NT_BF16, 1536, 576);
    bench_linear(NT_ACT_BF16, NT_BF16, 576, 1536);
    bench_linear(NT_ACT_BF16, NT_BF16, 2048, 5632);
    bench_linear(NT_ACT_F32, NT_F16, 2048, 2048);
    bench_linear(NT_ACT_F32, NT_F32, 1536, 576);
    bench_linear(NT_ACT_Q8, NT_Q8_0, 1536, 576);
    bench_linear(NT_ACT_Q8, NT_Q8_0, 49152, 576);
    bench_linear(NT_ACT_Q8, NT_Q8_0, 2048, 5632);
    static const nt_type types[] = {NT_Q4_0, NT_Q4_1, NT_Q5_0, NT_Q5_1, NT_Q4_K, NT_Q5_K, NT_Q6_K, NT_Q2_K, NT_Q3_K, NT_IQ4_XS, NT_MXFP4,
                                     NT_IQ1_S, NT_IQ2_XXS, NT_IQ2_S, NT_IQ3_XXS, NT_IQ3_S, NT_TQ1_0, NT_TQ2_0, NT_NVFP4};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) bench_linear(NT_ACT_Q8, types[i], 1536, 1536);
    bench_linear(NT_ACT_Q8, NT_Q4_1, 1536, 576);
    bench_linear(NT_ACT_Q8, NT_Q4_0, 2048, 5632);
    bench_linear(NT_ACT_F32, NT_Q4_1, 1536, 576);
    for (nt_kv_type type = NT_KV_F32; type <= NT_KV_E5M2; type++) {
        bench_attention(type, 9, 3, 64, 0, 512, 512);
        bench_attention(type, 9, 3, 64, 0, 512, 1);
        bench_attention(type, 32, 8, 128, 0, 16384, 1);
        bench_attention(type, 32, 4, 64, 0, 2048, 512);
        bench_attention(type, 16, 1, 64, 512, 4096, 1);
        bench_attention(type, 128, 1, 64, 512, 4096, 1);
        bench_attention(type, 16, 1, 64, 512, 1024, 128);
    }
    bench_rows();
    if (!only) bench_grouped(only);
    return 0;
}
