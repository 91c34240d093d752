/// Layouts shared by the kernels of all levels: q8 activation rows and packed weight panels.
#ifndef NT_LAYOUTS_H
#define NT_LAYOUTS_H

#include "include/nt_types.h"

/// Where things lie in a q8 row of k elements: codes at 0, then the arrays below (one entry a block of 32).
struct q8_layout {
    size_t blocks;
    size_t scales;   ///< f32 [blocks]
    size_t sums;     ///< i32 [blocks], minus the sum of a block's codes
    size_t halves;   ///< i32 [blocks], minus the sum of the last 16 codes (for Q6_K, whose scales cover 16)
    size_t scaled;   ///< f32 [blocks], scale * sum of codes
    size_t bytes;
};
static inline struct q8_layout q8_layout(size_t k) {
    size_t b = (k + 31) / 32;
    return (struct q8_layout){b, 32 * b, 36 * b, 40 * b, 44 * b, (48 * b + 63) / 64 * 64};
}

/// A panel is 16 rows of the weight, blocks of 32 along k, in three planes, each entry for 16 rows at once:
///
///     codes  [k/32][code_bytes]    subs  [k/32][sub_bytes]    supers  [k/256][super_bytes]
///
/// A group is 4 consecutive k of 16 rows, 64 bytes: [16 rows][4 k]; a block has 8 groups.
/// - Q8_0: code bytes are the 8 groups, code + 128 as u8.
/// - 4-bit types: 4 vectors of 64 bytes; vector i has group i in its low nibbles and group i + 4 in its high ones.
/// - 5-bit types: then 64 bytes of fifth bits; bit g of each byte belongs to group g.
/// - Q6_K: then 2 x 64 bytes of two upper bits; bits 2j, 2j+1 of vector h belong to group 4h + j.
/// - Q2_K: 2 x 64 bytes of two bits, as the upper ones of Q6_K. Q3_K: the same and 64 bytes of third bits, as fifth bits.
/// - IQ4_NL, IQ4_XS, MXFP4: indices into their table of 16 values, as 4-bit types.
/// subs: f16 d[16] (and f16 m[16] for Q4_1, Q5_1); MXFP4: bf16 d[16]; Q4_K, Q5_K: u8 scale[16], u8 min[16]; Q6_K, Q3_K: i8
/// scale[2][16], one a half block; Q2_K: u8 [2][16], scale low and min high nibble; IQ4_XS: i8 scale[16].
/// supers: f16 d[16] and, Q2_K, Q4_K and Q5_K, f16 dmin[16].
struct panel_layout {
    size_t code_bytes, sub_bytes, super_bytes;
};
static inline struct panel_layout panel_layout(nt_type type) {
    switch (type) {
    case NT_Q8_0: return (struct panel_layout){512, 32, 0};
    case NT_Q4_0: return (struct panel_layout){256, 32, 0};
    case NT_Q4_1: return (struct panel_layout){256, 64, 0};
    case NT_Q5_0: return (struct panel_layout){320, 32, 0};
    case NT_Q5_1: return (struct panel_layout){320, 64, 0};
    case NT_Q4_K: return (struct panel_layout){256, 32, 64};
    case NT_Q5_K: return (struct panel_layout){320, 32, 64};
    case NT_Q6_K: return (struct panel_layout){384, 32, 32};
    case NT_Q2_K: return (struct panel_layout){128, 32, 64};
    case NT_Q3_K: return (struct panel_layout){192, 32, 32};
    case NT_IQ4_NL: case NT_MXFP4: return (struct panel_layout){256, 32, 0};
    case NT_IQ4_XS: return (struct panel_layout){256, 16, 32};
    default: return (struct panel_layout){0, 0, 0};
    }
}
/// Bytes of one panel, a multiple of 64.
static inline size_t panel_bytes(nt_type type, size_t k) {
    struct panel_layout l = panel_layout(type);
    return (k / 32 * (l.code_bytes + l.sub_bytes) + k / 256 * l.super_bytes + 63) / 64 * 64;
}

#endif
