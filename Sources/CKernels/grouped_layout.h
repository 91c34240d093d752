/// Panels of grouped weights.
#ifndef NT_GROUPED_LAYOUT_H
#define NT_GROUPED_LAYOUT_H

#include "include/nt_grouped.h"

/// A panel is 16 rows of the weight, k rounded up to blocks of 32, in three planes that each start on 64 bytes. The small ones come first, so
/// that one stream of fetches reaches them before the codes that they belong to:
///
///     scales  [groups][16] of scale_type    zeros  [groups][16] i8 or f32, if any    codes  [k/32][block_bytes]
///
/// Codes for integer dot products (uint4, int8, tables of whole numbers): 4 consecutive k of 16 rows are 64 bytes, [16 rows][4 k].
/// - int8: 8 such vectors a block, code + 128 as u8;
/// - 4 bits: 4 vectors; vector i has k = 4i... in its low nibbles and k = 16 + 4i... in its high ones.
/// Codes for bfloat16 dot products (float8, other tables), whose lanes take two consecutive k:
/// - float8: 8 vectors of [16 rows][4 k], the four in the order 0, 2, 1, 3: even bytes are one pair, odd bytes the next;
/// - 4 bits: 4 vectors of 16 rows x 8 k; nibble j of half-word h of a lane is k = 2j + h.
struct grouped_layout {
    size_t blocks, groups;
    size_t block_bytes;
    size_t zeros, codes;   ///< where the planes start
    size_t bytes;          ///< of one panel
};
static inline size_t round_up_64(size_t bytes) { return (bytes + 63) / 64 * 64; }
static inline struct grouped_layout grouped_layout(const nt_grouped *f, size_t k) {
    struct grouped_layout l = {.blocks = (k + 31) / 32};
    l.groups = (32 * l.blocks + f->group - 1) / f->group;
    l.block_bytes = f->code == NT_CODE_UINT4 || f->code == NT_CODE_TABLE4 ? 256 : 512;
    l.zeros = round_up_64(l.groups * (f->scale_type == NT_F32 ? 64 : 32));
    l.codes = l.zeros + round_up_64(l.groups * (f->zero_kind == NT_ZERO_F32 ? 64 : f->zero_kind == NT_ZERO_I8 ? 16 : 0));
    l.bytes = l.codes + l.blocks * l.block_bytes;
    return l;
}

#endif
