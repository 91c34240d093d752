/// Types without panels of their own, one block at a time: any of them is int8 codes with a float scale for every 16.
///
/// An expansion has groups of 8 consecutive elements, `GROUP` bytes apart, as u8 = code + 128, and scales of 16 elements,
/// `SCALE` floats apart: (8, 1) gives a plain row, (128, 16) one row of a panel. w = scale * code, exactly: every product
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
    memcpy(u + GROUP * i, &v, 8);
}
typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint16_t shorts8 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));
EXPAND bytes16 read_bytes16(const uint8_t *p) { bytes16 v; memcpy(&v, p, 16); return v; }
/// Elements 8 i..<8 i + 16.
EXPAND void put16(uint8_t *u, const size_t GROUP, size_t i, bytes16 v) {
    put8(u, GROUP, i, ((words2)v)[0]);
    put8(u, GROUP, i + 1, ((words2)v)[1]);
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
#define INTERLEAVE(a, b, i) __builtin_shufflevector(a, b, i, i + 16, i + 1, i + 17, i + 2, i + 18, i + 3, i + 19, \
                                                   i + 4, i + 20, i + 5, i + 21, i + 6, i + 22, i + 7, i + 23)
EXPAND void expand_q2_0(const uint8_t *b, uint8_t *u, float *s, const size_t GROUP, const size_t SCALE) {
    put_scales(s, SCALE, 0, 4, read_half(b));
    bytes16 q = read_bytes16(b + 2), a0 = q & 3, a1 = q >> 2 & 3, a2 = q >> 4 & 3, a3 = q >> 6;   // byte i has elements 4 i...4 i + 3
    shorts8 p0 = (shorts8)INTERLEAVE(a0, a1, 0), p1 = (shorts8)INTERLEAVE(a0, a1, 8);
    shorts8 r0 = (shorts8)INTERLEAVE(a2, a3, 0), r1 = (shorts8)INTERLEAVE(a2, a3, 8);
    put16(u, GROUP, 0, (bytes16)__builtin_shufflevector(p0, r0, 0, 8, 1, 9, 2, 10, 3, 11) + 127);
    put16(u, GROUP, 2, (bytes16)__builtin_shufflevector(p0, r0, 4, 12, 5, 13, 6, 14, 7, 15) + 127);
    put16(u, GROUP, 4, (bytes16)__builtin_shufflevector(p1, r1, 0, 8, 1, 9, 2, 10, 3, 11) + 127);
    put16(u, GROUP, 6, (bytes16)__builtin_shufflevector(p1, r1, 4, 12, 5, 13, 6, 14, 7, 15) + 127);
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

/// The next base-3 digit of each byte (which holds round up(256 / 243 * number)) after a multiplication by 3^n, plus 127.
EXPAND bytes16 ternary(bytes16 q, uint16_t power) {
    shorts8 even = ((shorts8)q & 255) * power & 255, odd = ((shorts8)q >> 8) * power & 255;
    return (bytes16)((even * 3 >> 8) | (odd * 3 & 0xff00)) + 127;
}
EXPAND void expand_tq1_0(const uint8_t *b, uint8_t *u, float *s, const size_t GROUP, const size_t SCALE) {
    static const uint16_t powers[5] = {1, 3, 9, 27, 81};
    put_scales(s, SCALE, 0, 16, read_half(b + 52));
    bytes16 q0 = read_bytes16(b), q1 = read_bytes16(b + 16), q2 = read_bytes16(b + 32);
    for (size_t n = 0; n < 5; n++) {
        put16(u, GROUP, 4 * n, ternary(q0, powers[n]));
        put16(u, GROUP, 4 * n + 2, ternary(q1, powers[n]));
        put16(u, GROUP, 20 + 2 * n, ternary(q2, powers[n]));
    }
    uint64_t last = read_u32(b + 48), digits[4];
    for (size_t n = 0; n < 4; n++) digits[n] = ((words2)ternary((bytes16)(words2){last, 0}, powers[n]))[0] & 0xffffffff;
    put8(u, GROUP, 30, digits[0] | digits[1] << 32);
    put8(u, GROUP, 31, digits[2] | digits[3] << 32);
}
EXPAND void expand_tq2_0(const uint8_t *b, uint8_t *u, float *s, const size_t GROUP, const size_t SCALE) {
    put_scales(s, SCALE, 0, 16, read_half(b + 64));
    for (size_t j = 0; j < 2; j++)
        for (size_t i = 0; i < 4; i++) {
            uint64_t q = read_u64(b + 32 * j + 8 * i);
            for (size_t l = 0; l < 4; l++) put8(u, GROUP, 16 * j + 4 * l + i, (q >> (2 * l) & 3 * ONES) + 0x7f * ONES);
        }
}

/// e2m1 nibbles, one a byte, as 128 + twice their value: magnitudes 0 1 2 3 4 6 8 12.
EXPAND bytes16 e2m1_doubled(bytes16 q) {
    bytes16 e = q & 7, sign = (bytes16)(q > 7);
    e = e - (bytes16)(e > 4) - (bytes16)(e > 5) + ((bytes16)(e > 6) & 3);
    return (e ^ sign) - sign + 128;
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
        uint64_t q = read_u64(b + 4 + 8 * j);
        s[SCALE * j] = ue4m3_half(b[j]);
        put16(u, GROUP, 2 * j, e2m1_doubled((bytes16)(words2){q, q >> 4} & 15));
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
            uint64_t g = nt_codebooks.iq3_s[q[2 * l] | (high << (8 - 2 * l) & 256)]
                | (uint64_t)nt_codebooks.iq3_s[q[2 * l + 1] | (high << (7 - 2 * l) & 256)] << 32;
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

/// Blocks first..<first + count of up to 16 rows, `row_bytes` apart, as part of a panel: codes [elements/8][16][8] and
/// scales [elements/16][16]. Lanes of rows that are not there keep what they hold.
void nt_expand_panel(nt_type type, const void *rows, size_t row_bytes, size_t row_count, size_t first, size_t count,
                     uint8_t *codes, float *scales);
#endif
