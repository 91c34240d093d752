/// GGUF blocks as stored, little-endian, any alignment. Formats: ggml-quants (llama.cpp) and gguf-py's quants.py.
#ifndef NT_BLOCK_TYPES_H
#define NT_BLOCK_TYPES_H

#include "include/nt_types.h"
#include <string.h>

static inline uint16_t read_u16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return v; }

/// Exact value of half bits.
static inline float half_value(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, body = (uint32_t)(h & 0x7fffu) << 13, bits;
    float f;
    if (body >= 0x0f800000u) bits = body | 0x7f800000u;
    else { memcpy(&f, &body, 4); f *= 0x1p112f; memcpy(&bits, &f, 4); }
    bits |= sign;
    memcpy(&f, &bits, 4);
    return f;
}
static inline float read_half(const uint8_t *p) { return half_value(read_u16(p)); }

/// 6-bit scale and min number j (0..<8) of the 12 packed bytes of Q4_K and Q5_K.
static inline void k4_scale_min(const uint8_t *s, int j, uint8_t *scale, uint8_t *min) {
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (uint8_t)((s[j + 4] & 15) | (s[j - 4] >> 6) << 4);
        *min = (uint8_t)(s[j + 4] >> 4 | (s[j] >> 6) << 4);
    }
}

/// 6-bit scale number j (0..<16) of Q3_K, -32...31.
static inline int q3_scale(const uint8_t *block, int j) {
    const uint8_t *s = block + 96;
    int low = j < 8 ? s[j] & 15 : s[j - 8] >> 4, high = s[8 + j % 4] >> (2 * (j / 4)) & 3;
    return (low | high << 4) - 32;
}
/// 6-bit scale number j (0..<8) of IQ4_XS, -32...31.
static inline int iq4_scale(const uint8_t *block, int j) {
    int low = block[4 + j / 2] >> (4 * (j % 2)) & 15, high = read_u16(block + 2) >> (2 * j) & 3;
    return (low | high << 4) - 32;
}
/// Bits of 2^(e - 128) as float: the block scale of MXFP4, halved as its table is doubled.
static inline uint32_t e8m0_half_bits(uint8_t e) { return e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23; }

#define IQ4_VALUES -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
/// Twice the e2m1 values; the block scale is halved to match.
#define MXFP4_VALUES 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12

/// Unsigned codes of 32 consecutive elements, number b of a row, for the packable types (Q8_0: code + 128; tables: index).
static inline void block_codes(nt_type type, const uint8_t *row, size_t b, uint8_t *u) {
    switch (type) {
    case NT_Q8_0: {
        const uint8_t *q = row + b * 34 + 2;
        for (int i = 0; i < 32; i++) u[i] = q[i] ^ 0x80;
        break;
    }
    case NT_Q4_0: case NT_Q4_1: {
        const uint8_t *q = type == NT_Q4_0 ? row + b * 18 + 2 : row + b * 20 + 4;
        for (int i = 0; i < 16; i++) { u[i] = q[i] & 15; u[i + 16] = q[i] >> 4; }
        break;
    }
    case NT_Q5_0: case NT_Q5_1: {
        const uint8_t *h = type == NT_Q5_0 ? row + b * 22 + 2 : row + b * 24 + 4, *q = h + 4;
        uint32_t bits;
        memcpy(&bits, h, 4);
        for (int i = 0; i < 16; i++) {
            u[i] = (uint8_t)((q[i] & 15) | (bits >> i & 1) << 4);
            u[i + 16] = (uint8_t)(q[i] >> 4 | (bits >> (i + 16) & 1) << 4);
        }
        break;
    }
    case NT_Q4_K: case NT_Q5_K: {
        const uint8_t *s = row + b / 8 * (type == NT_Q4_K ? 144 : 176);
        const uint8_t *h = s + 16, *q = s + (type == NT_Q4_K ? 16 : 48) + b % 8 / 2 * 32;
        int shift = b % 2 ? 4 : 0, bit = (int)(b % 8);
        for (int i = 0; i < 32; i++) {
            u[i] = q[i] >> shift & 15;
            if (type == NT_Q5_K) u[i] |= (uint8_t)((h[i] >> bit & 1) << 4);
        }
        break;
    }
    case NT_Q6_K: {
        const uint8_t *s = row + b / 8 * 210;
        size_t half = b % 8 / 4, quarter = b % 4;
        const uint8_t *l = s + 64 * half + 32 * (quarter & 1), *h = s + 128 + 32 * half;
        int low = quarter >= 2 ? 4 : 0, high = (int)(2 * quarter);
        for (int i = 0; i < 32; i++) u[i] = (uint8_t)((l[i] >> low & 15) | (h[i] >> high & 3) << 4);
        break;
    }
    case NT_Q2_K: case NT_Q3_K: {
        const uint8_t *s = row + b / 8 * (type == NT_Q2_K ? 84 : 110), *q = s + (type == NT_Q2_K ? 16 : 32) + b % 8 / 4 * 32;
        int shift = (int)(b % 4 * 2), bit = (int)(b % 8);
        for (int i = 0; i < 32; i++) {
            u[i] = q[i] >> shift & 3;
            if (type == NT_Q3_K) u[i] |= (uint8_t)((s[i] >> bit & 1) << 2);
        }
        break;
    }
    case NT_IQ4_NL: case NT_IQ4_XS: case NT_MXFP4: {
        const uint8_t *q = type == NT_IQ4_NL ? row + b * 18 + 2 : type == NT_MXFP4 ? row + b * 17 + 1 : row + b / 8 * 136 + 8 + b % 8 * 16;
        for (int i = 0; i < 16; i++) { u[i] = q[i] & 15; u[i + 16] = q[i] >> 4; }
        break;
    }
    default: memset(u, 0, 32);
    }
}

#endif
