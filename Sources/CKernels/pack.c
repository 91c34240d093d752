// Repacks GGUF block types into panels of 16 rows; the layout is in layouts.h.
#include "expand.h"
#include "include/nt_linear.h"
#include "layouts.h"

bool nt_type_is_packable(nt_type type) { return panel_layout(type).code_bytes != 0; }

size_t nt_packed_bytes(nt_type type, size_t n, size_t k) {
    if (!nt_type_is_packable(type) || k % nt_block_elements(type) != 0) return 0;
    return nt_panels(n) * panel_bytes(type, k);
}

size_t nt_linear_scratch_bytes(nt_act act, nt_type weight, size_t m, size_t k) {
    if (act == NT_ACT_BF16 || !type_is_expanded(weight)) return 0;
    return (m <= 8 && k > 256 ? 256 : k) * 20;
}

/// One row's 32 codes into the block's groups.
static void place_codes(nt_type type, uint8_t *codes, size_t row, const uint8_t *u) {
    for (size_t i = 0; i < 32; i++) {
        size_t group = i / 4, at = 4 * row + i % 4;
        if (type == NT_Q8_0) { codes[64 * group + at] = u[i]; continue; }
        if (type == NT_Q2_K || type == NT_Q3_K) {
            codes[64 * (group / 4) + at] |= (uint8_t)((u[i] & 3) << (2 * (group % 4)));
            if (type == NT_Q3_K) codes[128 + at] |= (uint8_t)((u[i] >> 2) << group);
            continue;
        }
        codes[64 * (group % 4) + at] |= (uint8_t)((u[i] & 15) << (group < 4 ? 0 : 4));
        uint8_t high = u[i] >> 4;
        if (type == NT_Q6_K) codes[256 + 64 * (group / 4) + at] |= (uint8_t)(high << (2 * (group % 4)));
        else if (high) codes[256 + at] |= (uint8_t)(high << group);
    }
}

/// One row's scales of block b.
static void place_scales(nt_type type, const uint8_t *row, size_t b, size_t r, uint8_t *sub, uint8_t *super) {
    switch (type) {
    case NT_Q8_0: memcpy(sub + 2 * r, row + b * 34, 2); break;
    case NT_Q4_0: case NT_IQ4_NL: memcpy(sub + 2 * r, row + b * 18, 2); break;
    case NT_Q5_0: memcpy(sub + 2 * r, row + b * 22, 2); break;
    case NT_Q4_1: case NT_Q5_1: {
        const uint8_t *block = row + b * (type == NT_Q4_1 ? 20 : 24);
        memcpy(sub + 2 * r, block, 2);
        memcpy(sub + 32 + 2 * r, block + 2, 2);
        break;
    }
    case NT_Q4_K: case NT_Q5_K: {
        const uint8_t *block = row + b / 8 * (type == NT_Q4_K ? 144 : 176);
        k4_scale_min(block + 4, (int)(b % 8), sub + r, sub + 16 + r);
        memcpy(super + 2 * r, block, 2);
        memcpy(super + 32 + 2 * r, block + 2, 2);
        break;
    }
    case NT_Q6_K: {
        const uint8_t *block = row + b / 8 * 210;
        sub[r] = block[192 + 2 * (b % 8)];
        sub[16 + r] = block[192 + 2 * (b % 8) + 1];
        memcpy(super + 2 * r, block + 208, 2);
        break;
    }
    case NT_Q2_K: {
        const uint8_t *block = row + b / 8 * 84;
        sub[r] = block[2 * (b % 8)];
        sub[16 + r] = block[2 * (b % 8) + 1];
        memcpy(super + 2 * r, block + 80, 2);
        memcpy(super + 32 + 2 * r, block + 82, 2);
        break;
    }
    case NT_Q3_K: {
        const uint8_t *block = row + b / 8 * 110;
        for (size_t half = 0; half < 2; half++) sub[16 * half + r] = (uint8_t)q3_scale(block, (int)(2 * (b % 8) + half));
        memcpy(super + 2 * r, block + 108, 2);
        break;
    }
    case NT_IQ4_XS: {
        const uint8_t *block = row + b / 8 * 136;
        sub[r] = (uint8_t)iq4_scale(block, (int)(b % 8));
        memcpy(super + 2 * r, block, 2);
        break;
    }
    case NT_MXFP4: {
        uint16_t high = (uint16_t)(e8m0_half_bits(row[b * 17]) >> 16);
        memcpy(sub + 2 * r, &high, 2);
        break;
    }
    default: break;
    }
}

void nt_pack(nt_type type, const void *src, size_t n, size_t k, void *dst, size_t panel_begin, size_t panel_end) {
    if (nt_packed_bytes(type, n, k) == 0) return;
    struct panel_layout l = panel_layout(type);
    size_t bytes = panel_bytes(type, k), row_bytes = nt_row_bytes(type, k), blocks = k / 32;
    for (size_t p = panel_begin; p < panel_end && p < nt_panels(n); p++) {
        uint8_t *panel = (uint8_t *)dst + p * bytes;
        uint8_t *subs = panel + blocks * l.code_bytes, *supers = subs + blocks * l.sub_bytes;
        memset(panel, 0, bytes);
        for (size_t r = 0; r < 16 && 16 * p + r < n; r++) {
            const uint8_t *row = (const uint8_t *)src + (16 * p + r) * row_bytes;
            for (size_t b = 0; b < blocks; b++) {
                uint8_t u[32];
                block_codes(type, row, b, u);
                place_codes(type, panel + b * l.code_bytes, r, u);
                place_scales(type, row, b, r, subs + b * l.sub_bytes, supers + b / 8 * l.super_bytes);
            }
        }
    }
}
