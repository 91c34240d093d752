// Rows of f32 into GGUF blocks: the types with blocks of 32 here, super-blocks in quantize_k.c.
#include "include/nt_quantize.h"
#include "quantize_blocks.h"
#include "quantize_fit.h"

float nt_round_to_half(float v, uint8_t *bits) {
    uint16_t h;
    v = clamped(v, -65504, 65504);
    nt_f32_to_f16(&v, &h, 1);
    if (bits) memcpy(bits, &h, 2);
    return half_value(h);
}

static void put_nibbles(const uint8_t *u, uint8_t *q) {
    for (int i = 0; i < 16; i++) q[i] = (uint8_t)((u[i] & 15) | (u[i + 16] & 15) << 4);
}
static void put_fifth_bits(const uint8_t *u, uint8_t *h) {
    memset(h, 0, 4);
    for (int i = 0; i < 32; i++) h[i / 8] |= (uint8_t)((u[i] >> 4) << (i % 8));
}

FIT void codes32(const float *x, const code_range c, float d, float m, uint8_t *u) {
    float inverse = d != 0 ? 1 / d : 0;
    for (int i = 0; i < 32; i++) {
        float v = (x[i] - m) * inverse;
        u[i] = (uint8_t)(c.iq4 ? iq4_index(v) : (int)(nearest(c, v) - c.lo));
    }
}

static void q4_0(const float *x, const float *w, uint8_t *b) {
    const code_range c = {-8, 7, false};
    uint8_t u[32];
    codes32(x, c, nt_round_to_half(fit_scale(32, x, w, c, 9, 0.1f), b), 0, u);
    put_nibbles(u, b + 2);
}
static void q5_0(const float *x, const float *w, uint8_t *b) {
    const code_range c = {-16, 15, false};
    uint8_t u[32];
    codes32(x, c, nt_round_to_half(fit_scale(32, x, w, c, 9, 0.1f), b), 0, u);
    put_fifth_bits(u, b + 2);
    put_nibbles(u, b + 6);
}
static void q4_1(const float *x, const float *w, uint8_t *b) {
    uint8_t u[32];
    float m, d = nt_round_to_half(fit_affine(32, x, w, 15, false, &m), b);
    codes32(x, (code_range){0, 15, false}, d, nt_round_to_half(m, b + 2), u);
    put_nibbles(u, b + 4);
}
static void q5_1(const float *x, const float *w, uint8_t *b) {
    uint8_t u[32];
    float m, d = nt_round_to_half(fit_affine(32, x, w, 31, false, &m), b);
    codes32(x, (code_range){0, 31, false}, d, nt_round_to_half(m, b + 2), u);
    put_fifth_bits(u, b + 4);
    put_nibbles(u, b + 8);
}
static void q8_0(const float *x, const float *w, uint8_t *b) {
    (void)w;
    float top = 0;
    for (int i = 0; i < 32; i++) top = __builtin_fabsf(x[i]) > top ? __builtin_fabsf(x[i]) : top;
    float d = nt_round_to_half(top / 127, b), inverse = d > 0 ? 1 / d : 0;
    for (int i = 0; i < 32; i++) b[2 + i] = (uint8_t)(int8_t)rounded(clamped(x[i] * inverse, -127, 127));
}
static void iq4_nl(const float *x, const float *w, uint8_t *b) {
    const code_range c = {-127, 113, true};
    uint8_t u[32];
    codes32(x, c, nt_round_to_half(fit_scale(32, x, w, c, 9, 1.5f), b), 0, u);
    put_nibbles(u, b + 2);
}

/// Index of the e2m1 value nearest to v / 2, its magnitude ordered as the index.
static uint8_t e2m1_index(float v) {
    float a = __builtin_fabsf(v);
    int i = 0;
    for (int j = 1; j < 8; j++) i += 2 * a > (float)(mxfp4_table[j - 1] + mxfp4_table[j]);
    return (uint8_t)(i | (v < 0 && i ? 8 : 0));
}
static void mxfp4(const float *x, const float *w, uint8_t *b) {
    float top = 0, best = __builtin_inff();
    for (int i = 0; i < 32; i++) top = __builtin_fabsf(x[i]) > top ? __builtin_fabsf(x[i]) : top;
    uint32_t bits;
    memcpy(&bits, &top, 4);
    int middle = (int)(bits >> 23) - 2;                        // takes the largest |x| to 4...8, 6 being the largest value
    memset(b, 0, 17);
    for (int e = middle - 1; e <= middle + 1; e++) {
        if (e < 1 || e > 254 || top == 0) continue;
        uint32_t scale_bits = e8m0_half_bits((uint8_t)e);
        float d, error = 0;
        uint8_t u[32];
        memcpy(&d, &scale_bits, 4);
        for (int i = 0; i < 32; i++) {
            u[i] = e2m1_index(x[i] / d);
            float off = x[i] - d * (float)mxfp4_table[u[i]];
            error += w[i] * off * off;
        }
        if (!(error < best)) continue;
        best = error;
        b[0] = (uint8_t)e;
        put_nibbles(u, b + 1);
    }
}

typedef void block_quantizer(const float *x, const float *w, uint8_t *b);
static block_quantizer *quantizer(nt_type type) {
    switch (type) {
    case NT_Q4_0: return q4_0;
    case NT_Q4_1: return q4_1;
    case NT_Q5_0: return q5_0;
    case NT_Q5_1: return q5_1;
    case NT_Q8_0: return q8_0;
    case NT_IQ4_NL: return iq4_nl;
    case NT_MXFP4: return mxfp4;
    case NT_Q2_K: return nt_quantize_q2_k;
    case NT_Q3_K: return nt_quantize_q3_k;
    case NT_Q4_K: return nt_quantize_q4_k;
    case NT_Q5_K: return nt_quantize_q5_k;
    case NT_Q6_K: return nt_quantize_q6_k;
    case NT_IQ4_XS: return nt_quantize_iq4_xs;
    default: return 0;
    }
}

/// Weights of n elements for the fits: the importance with a small floor, all alike where none is given.
static void block_weights(const float *importance, size_t n, float *w) {
    float sum = 0;
    for (size_t i = 0; i < n; i++) {
        w[i] = importance && importance[i] > 0 && importance[i] < 0x1p100f ? importance[i] : 0;
        sum += w[i];
    }
    float mean = sum > 0 && sum < 0x1p120f ? sum / (float)n : 0;
    for (size_t i = 0; i < n; i++) w[i] = mean > 0 ? w[i] / mean + 0x1p-12f : 1;
}

bool nt_can_quantize(nt_type type) { return quantizer(type) != 0; }

bool nt_quantize_row(nt_type type, const float *src, void *dst, size_t k, const float *importance) {
    block_quantizer *quantize = quantizer(type);
    size_t n = nt_block_elements(type), bytes = nt_block_bytes(type);
    if (!quantize || k % n != 0) return false;
    for (size_t i = 0; i < k; i += n) {
        float x[256], w[256];
        for (size_t j = 0; j < n; j++) x[j] = src[i + j] == src[i + j] ? clamped(src[i + j], -65504, 65504) : 0;
        block_weights(importance ? importance + i : 0, n, w);
        quantize(x, w, (uint8_t *)dst + i / n * bytes);
    }
    return true;
}
