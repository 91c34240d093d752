// Stored rows of any type to f32, exactly as ggml's reference does it.
#include "expand.h"
#include "include/nt_quantize.h"

typedef void block_to_f32(const uint8_t *block, float *y);

static void q8_0(const uint8_t *b, float *y) {
    float d = read_half(b);
    for (int i = 0; i < 32; i++) y[i] = d * (float)(int8_t)b[2 + i];
}
static void q4_0(const uint8_t *b, float *y) {
    float d = read_half(b);
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)((b[2 + i] & 15) - 8);
        y[i + 16] = d * (float)((b[2 + i] >> 4) - 8);
    }
}
static void q4_1(const uint8_t *b, float *y) {
    float d = read_half(b), m = read_half(b + 2);
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)(b[4 + i] & 15) + m;
        y[i + 16] = d * (float)(b[4 + i] >> 4) + m;
    }
}
static void q5_0(const uint8_t *b, float *y) {
    float d = read_half(b);
    uint8_t u[32];
    block_codes(NT_Q5_0, b, 0, u);
    for (int i = 0; i < 32; i++) y[i] = d * (float)(u[i] - 16);
}
static void q5_1(const uint8_t *b, float *y) {
    float d = read_half(b), m = read_half(b + 2);
    uint8_t u[32];
    block_codes(NT_Q5_1, b, 0, u);
    for (int i = 0; i < 32; i++) y[i] = d * (float)u[i] + m;
}
static void q2_k(const uint8_t *b, float *y) {
    const uint8_t *scales = b, *q = b + 16;
    float d = read_half(b + 80), dmin = read_half(b + 82);
    for (int i = 0; i < 256; i++) {
        int half = i / 128, shift = i % 128 / 32 * 2;
        uint8_t s = scales[i / 16];
        y[i] = d * (float)(s & 15) * (float)(q[32 * half + i % 32] >> shift & 3) - dmin * (float)(s >> 4);
    }
}
static void q3_k(const uint8_t *b, float *y) {
    const uint8_t *mask = b, *q = b + 32;
    float d = read_half(b + 108);
    for (int i = 0; i < 256; i++) {
        int half = i / 128, shift = i % 128 / 32 * 2;
        int code = (q[32 * half + i % 32] >> shift & 3) - (mask[i % 32] >> (i / 32) & 1 ? 0 : 4);
        y[i] = d * (float)q3_scale(b, i / 16) * (float)code;
    }
}
static void q45_k(nt_type type, const uint8_t *b, float *y) {
    float d = read_half(b), dmin = read_half(b + 2);
    uint8_t u[32], scale, min;
    for (int j = 0; j < 8; j++) {
        k4_scale_min(b + 4, j, &scale, &min);
        block_codes(type, b, (size_t)j, u);
        float dl = d * (float)scale, ml = dmin * (float)min;
        for (int i = 0; i < 32; i++) y[32 * j + i] = dl * (float)u[i] - ml;
    }
}
static void q4_k(const uint8_t *b, float *y) { q45_k(NT_Q4_K, b, y); }
static void q5_k(const uint8_t *b, float *y) { q45_k(NT_Q5_K, b, y); }
static void q6_k(const uint8_t *b, float *y) {
    float d = read_half(b + 208);
    uint8_t u[32];
    for (int j = 0; j < 8; j++) {
        block_codes(NT_Q6_K, b, (size_t)j, u);
        for (int i = 0; i < 32; i++) y[32 * j + i] = d * (float)(int8_t)b[192 + 2 * j + i / 16] * (float)(u[i] - 32);
    }
}
static const int8_t iq4_values[16] = {IQ4_VALUES}, mxfp4_values[16] = {MXFP4_VALUES};

static void nibble_table(const int8_t *values, float d, const uint8_t *q, float *y) {
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)values[q[i] & 15];
        y[i + 16] = d * (float)values[q[i] >> 4];
    }
}
static void iq4_nl(const uint8_t *b, float *y) { nibble_table(iq4_values, read_half(b), b + 2, y); }
static void iq4_xs(const uint8_t *b, float *y) {
    float d = read_half(b);
    for (int j = 0; j < 8; j++) nibble_table(iq4_values, d * (float)iq4_scale(b, j), b + 8 + 16 * j, y + 32 * j);
}
static void mxfp4(const uint8_t *b, float *y) {
    uint32_t bits = e8m0_half_bits(b[0]);
    float d;
    memcpy(&d, &bits, 4);
    nibble_table(mxfp4_values, d, b + 1, y);
}

static block_to_f32 *block_function(nt_type type) {
    switch (type) {
    case NT_Q4_0: return q4_0;
    case NT_Q4_1: return q4_1;
    case NT_Q5_0: return q5_0;
    case NT_Q5_1: return q5_1;
    case NT_Q8_0: return q8_0;
    case NT_Q2_K: return q2_k;
    case NT_Q3_K: return q3_k;
    case NT_Q4_K: return q4_k;
    case NT_Q5_K: return q5_k;
    case NT_Q6_K: return q6_k;
    case NT_IQ4_NL: return iq4_nl;
    case NT_IQ4_XS: return iq4_xs;
    case NT_MXFP4: return mxfp4;
    default: return 0;
    }
}

/// A block by way of its expansion.
static void expanded(nt_type type, const uint8_t *b, float *y) {
    uint8_t u[256];
    float s[16];
    expand_block(type, b, u, s, 8, 1);
    for (size_t i = 0; i < nt_block_elements(type); i++) y[i] = s[i / 16] * (float)(u[i] - 128);
}

bool nt_dequantize_row(nt_type type, const void *src, float *dst, size_t k) {
    switch (type) {
    case NT_F32: memcpy(dst, src, k * 4); return true;
    case NT_F16: nt_f16_to_f32(src, dst, k); return true;
    case NT_BF16: nt_bf16_to_f32(src, dst, k); return true;
    default: break;
    }
    block_to_f32 *block = block_function(type);
    size_t elements = nt_block_elements(type), bytes = nt_block_bytes(type);
    if ((!block && !type_is_expanded(type)) || k % elements != 0) return false;
    const uint8_t *b = src;
    for (size_t i = 0; i < k; i += elements, b += bytes) {
        if (block) block(b, dst + i);
        else expanded(type, b, dst + i);
    }
    return true;
}
