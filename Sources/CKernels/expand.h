/// Types without panels of their own, one block at a time: any of them is int8 codes with a float scale for every 16.
///
/// An expansion has groups of 4 consecutive elements, `GROUP` bytes apart, as u8 = code + 128, and scales of 16 elements,
/// `SCALE` floats apart: (4, 1) gives a plain row, (64, 16) one row of a panel. w = scale * code, exactly: every product
/// of block scale, sub-scale and code of these formats has at most 24 significant bits.
#ifndef NT_EXPAND_H
#define NT_EXPAND_H

#include "block_types.h"
#include "codebooks.h"

#define EXPAND static inline __attribute__((always_inline))
#define ONES 0x0101010101010101ull

static inline bool type_is_expanded(nt_type type) {
    switch (type) {
    case NT_Q1_0: case NT_Q2_0: case NT_Q8_1: case NT_Q8_K: case NT_TQ1_0: case NT_TQ2_0: case NT_NVFP4:
    case NT_IQ1_S: case NT_IQ1_M: case NT_IQ2_XXS: case NT_IQ2_XS: case NT_IQ2_S: case NT_IQ3_XXS: case NT_IQ3_S: return true;
    default: return false;
    }
}

static inline uint32_t read_u32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static inline uint64_t read_u64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return v; }

/// Elements 8 i..<8 i + 8 of a block.
EXPAND void put8(uint8_t *u, const size_t GROUP, size_t i, uint64_t v) {
    uint32_t low = (uint32_t)v, high = (uint32_t)(v >> 32);
    memcpy(u + GROUP * 2 * i, &low, 4);
    memcpy(u + GROUP * (2 * i + 1), &high, 4);
}
EXPAND void put_scales(float *s, const size_t SCALE, size_t from, size_t count, float d) {
    for (size_t i = 0; i < count; i++) s[SCALE * (from + i)] = d;
}
/// Bytes 128 + g, or 128 - g where the mask (0 or 0x7f a byte) says so; g in 1...127. No byte carries into the next.
EXPAND uint64_t with_signs(uint64_t g, uint64_t mask) { return (g ^ mask) + (0x80 * ONES - mask); }

EXPAND void expand_q1_0(const uint8_t *b, uint8_t *u, float *s, const size_t GROUP, const size_t SCALE) {
    put_scales(s, SCALE, 0, 8, read_half(b));
    for (size_t i = 0; i < 16; i++) put8(u, GROUP, i, with_signs(ONES, nt_codebooks.signs[(uint8_t)~b[2 + i]]));
}
EXPAND void expand_q2_0(const uint8_t *b, uint8_t *u, float *s, const size_t GROUP, const size_t SCALE) {
    put_scales(s, SCALE, 0, 4, read_half(b));
    for (size_t i = 0; i < 16; i++) {
        uint32_t q = b[2 + i];
        q = ((q & 3) | (q & 12) << 6 | (q & 48) << 12 | (q & 192) << 18) + 0x7f7f7f7f;
        memcpy(u + GROUP * i, &q, 4);
    }
}
EXPAND void expand_q8(const uint8_t *q, size_t count, uint8_t *u, const size_t GROUP) {
    for (size_t i = 0; i < count / 8; i++) put8(u, GROUP, i, read_u64(q + 8 * i) ^ 0x80 * ONES);
}
EXPAND void expand_q8_1(const uint8_t *b, uint8_t *u, float *s, const size_t GROUP, const size_t SCALE) {
    put_scales(s, SCALE, 0, 2, read_half(b));
    expand_q8(b + 4, 32, u, GROUP);
}
EXPAND void expand_q8_k(const uint8_t *b, uint8_t *u, float *s, const size_t GROUP, const size_t SCALE) {
    float d;
    memcpy(&d, b, 4);
    put_scales(s, SCALE, 0, 16, d);
    expand_q8(b + 4, 256, u, GROUP);
}

/// Base-3 digit n of each byte (a byte holds round up(256 / 243 * number)), plus 127.
EXPAND uint64_t ternary(uint64_t q, unsigned power) {
    uint64_t even = (q & 0x00ff00ff00ff00ffull) * power & 0x00ff00ff00ff00ffull;
    uint64_t odd = (q >> 8 & 0x00ff00ff00ff00ffull) * power & 0x00ff00ff00ff00ffull;
    even = even * 3 >> 8 & 0x00ff00ff00ff00ffull;
    odd = odd * 3 & 0xff00ff00ff00ff00ull;
    return (even | odd) + 0x7f * ONES;
}
EXPAND void expand_tq1_0(const uint8_t *b, uint8_t *u, float *s, const size_t GROUP, const size_t SCALE) {
    static const unsigned powers[5] = {1, 3, 9, 27, 81};
    put_scales(s, SCALE, 0, 16, read_half(b + 52));
    for (size_t n = 0; n < 5; n++) {
        for (size_t i = 0; i < 4; i++) put8(u, GROUP, 4 * n + i, ternary(read_u64(b + 8 * i), powers[n]));
        for (size_t i = 0; i < 2; i++) put8(u, GROUP, 20 + 2 * n + i, ternary(read_u64(b + 32 + 8 * i), powers[n]));
    }
    uint64_t last = read_u32(b + 48);
    for (size_t n = 0; n < 4; n++) {
        uint32_t v = (uint32_t)ternary(last, powers[n]);
        memcpy(u + GROUP * (60 + n), &v, 4);
    }
}
EXPAND void expand_tq2_0(const uint8_t *b, uint8_t *u, float *s, const size_t GROUP, const size_t SCALE) {
    put_scales(s, SCALE, 0, 16, read_half(b + 64));
    for (size_t j = 0; j < 2; j++)
        for (size_t i = 0; i < 4; i++) {
            uint64_t q = read_u64(b + 32 * j + 8 * i);
            for (size_t l = 0; l < 4; l++) put8(u, GROUP, 16 * j + 4 * l + i, (q >> (2 * l) & 3 * ONES) + 0x7f * ONES);
        }
}

/// Eight e2m1 nibbles, one a byte, as 128 + twice their value: magnitudes 0 1 2 3 4 6 8 12.
EXPAND uint64_t e2m1_doubled(uint64_t q) {
    uint64_t e = q & 7 * ONES, mask = (q >> 3 & ONES) * 0x7f;
    e = e + ((e + 3 * ONES) >> 3 & ONES) + ((e + 2 * ONES) >> 3 & ONES) + 3 * ((e + ONES) >> 3 & ONES);
    return (e ^ mask) + (0x80 * ONES - mask);   // 0 with a sign: 0x7f + 1
}
/// Unsigned e4m3, halved; 0x7f (with or without the unused sign) is not a number there and means 0 only without it.
EXPAND float ue4m3_half(uint8_t x) {
    if (x == 0x7f) return 0;
    int exponent = x >> 3 & 15, fraction = x & 7;
    if (exponent == 0) return (float)fraction * 0x1p-10f;
    uint32_t bits = (uint32_t)(exponent + 119) << 23 | (uint32_t)fraction << 20;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}
EXPAND void expand_nvfp4(const uint8_t *b, uint8_t *u, float *s, const size_t GROUP, const size_t SCALE) {
    for (size_t j = 0; j < 4; j++) {
        s[SCALE * j] = ue4m3_half(b[j]);
        uint64_t q = read_u64(b + 4 + 8 * j);
        put8(u, GROUP, 2 * j, e2m1_doubled(q & 0x0f * ONES));
        put8(u, GROUP, 2 * j + 1, e2m1_doubled(q >> 4 & 0x0f * ONES));
    }
}

EXPAND void expand_iq1_s(const uint8_t *b, uint8_t *u, float *s, const size_t GROUP, const size_t SCALE) {
    float d = read_half(b) * 0.125f;
    for (size_t j = 0; j < 8; j++) {
        uint32_t h = read_u16(b + 34 + 2 * j);
        uint64_t delta = h & 0x8000 ? 0 - ONES : ONES;
        put_scales(s, SCALE, 2 * j, 2, d * (float)(2 * (h >> 12 & 7) + 1));
        for (size_t l = 0; l < 4; l++) put8(u, GROUP, 4 * j + l, nt_codebooks.iq1[b[2 + 4 * j + l] | (h >> (3 * l) & 7) << 8] + delta);
    }
}
EXPAND void expand_iq1_m(const uint8_t *b, uint8_t *u, float *s, const size_t GROUP, const size_t SCALE) {
    uint64_t scales = read_u64(b + 48);
    uint16_t half = (uint16_t)((scales >> 12 & 0x000f) | (scales >> 24 & 0x00f0) | (scales >> 36 & 0x0f00) | (scales >> 48 & 0xf000));
    float d = half_value(half) * 0.125f;
    for (size_t j = 0; j < 8; j++) {
        unsigned sub = (unsigned)(scales >> (16 * (j / 2) + 6 * (j % 2)));
        s[SCALE * 2 * j] = d * (float)(2 * (sub & 7) + 1);
        s[SCALE * (2 * j + 1)] = d * (float)(2 * (sub >> 3 & 7) + 1);
        for (size_t l = 0; l < 4; l++) {
            unsigned h = b[32 + 2 * j + l / 2] >> (4 * (l % 2));
            uint64_t delta = h & 8 ? 0 - ONES : ONES;
            put8(u, GROUP, 4 * j + l, nt_codebooks.iq1[b[4 * j + l] | (h & 7) << 8] + delta);
        }
    }
}
EXPAND void expand_iq2_xxs(const uint8_t *b, uint8_t *u, float *s, const size_t GROUP, const size_t SCALE) {
    float d = read_half(b) * 0.125f;
    for (size_t j = 0; j < 8; j++) {
        uint32_t index = read_u32(b + 2 + 8 * j), signs = read_u32(b + 6 + 8 * j);
        put_scales(s, SCALE, 2 * j, 2, d * (float)(2 * (signs >> 28) + 1));
        for (size_t l = 0; l < 4; l++)
            put8(u, GROUP, 4 * j + l, with_signs(nt_codebooks.iq2_xxs[index >> (8 * l) & 255], nt_codebooks.parity_signs[signs >> (7 * l) & 127]));
    }
}
EXPAND void expand_iq2_xs(const uint8_t *b, uint8_t *u, float *s, const size_t GROUP, const size_t SCALE) {
    float d = read_half(b) * 0.125f;
    for (size_t j = 0; j < 8; j++) {
        uint64_t q = read_u64(b + 2 + 8 * j);
        s[SCALE * 2 * j] = d * (float)(2 * (b[66 + j] & 15) + 1);
        s[SCALE * (2 * j + 1)] = d * (float)(2 * (b[66 + j] >> 4) + 1);
        for (size_t l = 0; l < 4; l++)
            put8(u, GROUP, 4 * j + l, with_signs(nt_codebooks.iq2_xs[q >> (16 * l) & 511], nt_codebooks.parity_signs[q >> (16 * l + 9) & 127]));
    }
}
EXPAND void expand_iq2_s(const uint8_t *b, uint8_t *u, float *s, const size_t GROUP, const size_t SCALE) {
    float d = read_half(b) * 0.125f;
    for (size_t j = 0; j < 8; j++) {
        unsigned high = b[66 + j];
        s[SCALE * 2 * j] = d * (float)(2 * (b[74 + j] & 15) + 1);
        s[SCALE * (2 * j + 1)] = d * (float)(2 * (b[74 + j] >> 4) + 1);
        for (size_t l = 0; l < 4; l++)
            put8(u, GROUP, 4 * j + l, with_signs(nt_codebooks.iq2_s[b[2 + 4 * j + l] | (high >> (2 * l) & 3) << 8], nt_codebooks.signs[b[34 + 4 * j + l]]));
    }
}
EXPAND void expand_iq3_xxs(const uint8_t *b, uint8_t *u, float *s, const size_t GROUP, const size_t SCALE) {
    float d = read_half(b) * 0.25f;
    for (size_t j = 0; j < 8; j++) {
        const uint8_t *q = b + 2 + 8 * j;
        uint32_t signs = read_u32(b + 66 + 4 * j);
        put_scales(s, SCALE, 2 * j, 2, d * (float)(2 * (signs >> 28) + 1));
        for (size_t l = 0; l < 4; l++) {
            uint64_t g = nt_codebooks.iq3_xxs[q[2 * l]] | (uint64_t)nt_codebooks.iq3_xxs[q[2 * l + 1]] << 32;
            put8(u, GROUP, 4 * j + l, with_signs(g, nt_codebooks.parity_signs[signs >> (7 * l) & 127]));
        }
    }
}
EXPAND void expand_iq3_s(const uint8_t *b, uint8_t *u, float *s, const size_t GROUP, const size_t SCALE) {
    float d = read_half(b);
    for (size_t j = 0; j < 8; j++) {
        const uint8_t *q = b + 2 + 8 * j;
        unsigned high = b[66 + j];
        put_scales(s, SCALE, 2 * j, 2, d * (float)(2 * (b[106 + j / 2] >> (4 * (j % 2)) & 15) + 1));
        for (size_t l = 0; l < 4; l++) {
            uint64_t g = nt_codebooks.iq3_s[q[2 * l] | (high >> (2 * l) & 1) << 8]
                | (uint64_t)nt_codebooks.iq3_s[q[2 * l + 1] | (high >> (2 * l + 1) & 1) << 8] << 32;
            put8(u, GROUP, 4 * j + l, with_signs(g, nt_codebooks.signs[b[74 + 4 * j + l]]));
        }
    }
}

/// One block of a type for which `type_is_expanded`.
EXPAND void expand_block(nt_type type, const uint8_t *b, uint8_t *u, float *s, const size_t GROUP, const size_t SCALE) {
    switch (type) {
    case NT_Q1_0: expand_q1_0(b, u, s, GROUP, SCALE); break;
    case NT_Q2_0: expand_q2_0(b, u, s, GROUP, SCALE); break;
    case NT_Q8_1: expand_q8_1(b, u, s, GROUP, SCALE); break;
    case NT_Q8_K: expand_q8_k(b, u, s, GROUP, SCALE); break;
    case NT_TQ1_0: expand_tq1_0(b, u, s, GROUP, SCALE); break;
    case NT_TQ2_0: expand_tq2_0(b, u, s, GROUP, SCALE); break;
    case NT_NVFP4: expand_nvfp4(b, u, s, GROUP, SCALE); break;
    case NT_IQ1_S: expand_iq1_s(b, u, s, GROUP, SCALE); break;
    case NT_IQ1_M: expand_iq1_m(b, u, s, GROUP, SCALE); break;
    case NT_IQ2_XXS: expand_iq2_xxs(b, u, s, GROUP, SCALE); break;
    case NT_IQ2_XS: expand_iq2_xs(b, u, s, GROUP, SCALE); break;
    case NT_IQ2_S: expand_iq2_s(b, u, s, GROUP, SCALE); break;
    case NT_IQ3_XXS: expand_iq3_xxs(b, u, s, GROUP, SCALE); break;
    case NT_IQ3_S: expand_iq3_s(b, u, s, GROUP, SCALE); break;
    default: break;
    }
}

/// Blocks first..<first + count of up to 16 rows, `row_bytes` apart, as part of a panel: codes [elements/4][16][4] and
/// scales [elements/16][16]. Lanes of rows that are not there keep what they hold.
void nt_expand_panel(nt_type type, const void *rows, size_t row_bytes, size_t row_count, size_t first, size_t count,
                     uint8_t *codes, float *scales);
#endif
