// Super-blocks of 256: Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_XS. Layouts as in dequantize.c and block_types.h.
#include "quantize_blocks.h"
#include "quantize_super.h"

#define NOINLINE static __attribute__((noinline))
static const code_range two_bits = {0, 3, false}, three_bits = {-4, 3, false}, four_bits = {0, 15, false}, five_bits = {0, 31, false};
static const code_range six_bits = {-32, 31, false}, iq4 = {-127, 113, true};

NOINLINE super_scales fit_q2(const float *x, const float *w) { return fit_super(16, x, w, two_bits, 0, 15, true); }
NOINLINE super_scales fit_q3(const float *x, const float *w) { return fit_super(16, x, w, three_bits, -32, 31, false); }
NOINLINE super_scales fit_q4(const float *x, const float *w) { return fit_super(32, x, w, four_bits, 0, 63, true); }
NOINLINE super_scales fit_q5(const float *x, const float *w) { return fit_super(32, x, w, five_bits, 0, 63, true); }
NOINLINE super_scales fit_q6(const float *x, const float *w) { return fit_super(16, x, w, six_bits, -128, 127, false); }
NOINLINE super_scales fit_iq4(const float *x, const float *w) { return fit_super(32, x, w, iq4, -32, 31, false); }

/// Element i of 256 lies in two bits of byte 32 * (i / 128) + i % 32.
static void put_two_bits(const uint8_t *u, uint8_t *q) {
    memset(q, 0, 64);
    for (int i = 0; i < 256; i++) q[i / 128 * 32 + i % 32] |= (uint8_t)((u[i] & 3) << (i % 128 / 32 * 2));
}

void nt_quantize_q2_k(const float *x, const float *w, uint8_t *b) {
    super_scales s = fit_q2(x, w);
    uint8_t u[256];
    for (int j = 0; j < 16; j++) {
        super_codes(16, x + 16 * j, two_bits, &s, j, u + 16 * j);
        b[j] = (uint8_t)(s.scale[j] | s.low[j] << 4);
    }
    put_two_bits(u, b + 16);
    nt_round_to_half(s.d, b + 80);
    nt_round_to_half(s.min, b + 82);
}

void nt_quantize_q3_k(const float *x, const float *w, uint8_t *b) {
    super_scales s = fit_q3(x, w);
    uint8_t u[256];
    memset(b, 0, 110);
    for (int j = 0; j < 16; j++) {
        int scale = s.scale[j] + 32;
        super_codes(16, x + 16 * j, three_bits, &s, j, u + 16 * j);
        b[96 + j % 8] |= (uint8_t)((scale & 15) << (j < 8 ? 0 : 4));
        b[104 + j % 4] |= (uint8_t)((scale >> 4) << (2 * (j / 4)));
    }
    put_two_bits(u, b + 32);
    for (int i = 0; i < 256; i++) b[i % 32] |= (uint8_t)((u[i] >> 2) << (i / 32));
    nt_round_to_half(s.d, b + 108);
}

/// Q4_K, and with `fifth` bits Q5_K.
static void put_q45(const float *x, const super_scales *s, const code_range c, uint8_t *b, uint8_t *fifth, uint8_t *nibbles) {
    nt_round_to_half(s->d, b);
    nt_round_to_half(s->min, b + 2);
    uint8_t *k = b + 4;
    for (int j = 0; j < 4; j++) {
        k[j] = (uint8_t)(s->scale[j] | s->scale[j + 4] >> 4 << 6);
        k[j + 4] = (uint8_t)(s->low[j] | s->low[j + 4] >> 4 << 6);
        k[j + 8] = (uint8_t)((s->scale[j + 4] & 15) | (s->low[j + 4] & 15) << 4);
    }
    memset(nibbles, 0, 128);
    if (fifth) memset(fifth, 0, 32);
    for (int j = 0; j < 8; j++) {
        uint8_t u[32];
        super_codes(32, x + 32 * j, c, s, j, u);
        for (int i = 0; i < 32; i++) {
            nibbles[j / 2 * 32 + i] |= (uint8_t)((u[i] & 15) << (j % 2 * 4));
            if (fifth) fifth[i] |= (uint8_t)((u[i] >> 4) << j);
        }
    }
}
void nt_quantize_q4_k(const float *x, const float *w, uint8_t *b) {
    super_scales s = fit_q4(x, w);
    put_q45(x, &s, four_bits, b, 0, b + 16);
}
void nt_quantize_q5_k(const float *x, const float *w, uint8_t *b) {
    super_scales s = fit_q5(x, w);
    put_q45(x, &s, five_bits, b, b + 16, b + 48);
}

void nt_quantize_q6_k(const float *x, const float *w, uint8_t *b) {
    super_scales s = fit_q6(x, w);
    memset(b, 0, 192);
    for (int j = 0; j < 16; j++) {
        uint8_t u[16];
        super_codes(16, x + 16 * j, six_bits, &s, j, u);
        for (int i = 0; i < 16; i++) {
            int at = (16 * j + i) % 128, half = j / 8, quarter = at / 32;
            b[64 * half + at % 64] |= (uint8_t)((u[i] & 15) << (quarter < 2 ? 0 : 4));
            b[128 + 32 * half + at % 32] |= (uint8_t)((u[i] >> 4) << (2 * quarter));
        }
        b[192 + j] = (uint8_t)s.scale[j];
    }
    nt_round_to_half(s.d, b + 208);
}

void nt_quantize_iq4_xs(const float *x, const float *w, uint8_t *b) {
    super_scales s = fit_iq4(x, w);
    memset(b, 0, 136);
    nt_round_to_half(s.d, b);
    for (int j = 0; j < 8; j++) {
        uint8_t u[32];
        int scale = s.scale[j] + 32;
        super_codes(32, x + 32 * j, iq4, &s, j, u);
        b[2 + j / 4] |= (uint8_t)((scale >> 4) << (2 * (j % 4)));
        b[4 + j / 2] |= (uint8_t)((scale & 15) << (4 * (j % 2)));
        for (int i = 0; i < 16; i++) b[8 + 16 * j + i] = (uint8_t)(u[i] | u[i + 16] << 4);
    }
}
