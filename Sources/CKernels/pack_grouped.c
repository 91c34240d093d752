// Chooses the layout of grouped weights and packs them into panels; the layout is in grouped_layout.h.
#include "grouped_layout.h"
#include "include/nt_quantize.h"
#include <math.h>
#include <string.h>

static size_t source_groups(const nt_grouped_source *s) { return s->group ? (s->k + s->group - 1) / s->group : 0; }

/// The narrowest type that holds all values exactly.
static nt_type exact_type(const float *values, size_t count) {
    bool f16 = true, bf16 = true;
    for (size_t i = 0; i < count && (f16 || bf16); i += 64) {
        size_t n = count - i < 64 ? count - i : 64;
        uint16_t narrow[64];
        float wide[64];
        nt_f32_to_f16(values + i, narrow, n);
        nt_f16_to_f32(narrow, wide, n);
        if (memcmp(wide, values + i, 4 * n) != 0) f16 = false;
        for (size_t j = 0; j < n; j++) {
            uint32_t bits;
            memcpy(&bits, values + i + j, 4);
            if (bits & 0xffff) bf16 = false;
        }
    }
    return f16 ? NT_F16 : bf16 ? NT_BF16 : NT_F32;
}

/// Sets how zeros are kept: as few bytes as hold them exactly.
static void plan_zeros(const float *zeros, size_t count, nt_grouped *plan) {
    plan->zero_kind = NT_ZERO_SAME;
    plan->zero = 0;
    if (!zeros || count == 0) return;
    bool same = true, whole = true, bytes = true;
    for (size_t i = 0; i < count; i++) {
        if (zeros[i] != zeros[0]) same = false;
        if (!(fabsf(zeros[i]) <= 255) || zeros[i] != rintf(zeros[i])) whole = false;
        if (!(zeros[i] >= -128 && zeros[i] <= 127)) bytes = false;
    }
    if (same && whole) plan->zero = (int32_t)zeros[0];
    else plan->zero_kind = whole && bytes ? NT_ZERO_I8 : NT_ZERO_F32;
}

/// Values as (code - zero) * factor with codes 0...127, if they are whole multiples of a half of the smallest one.
static void plan_table(const float *table, nt_grouped *plan) {
    memcpy(plan->table, table, 64);
    float unit = INFINITY, low = 0, high = 0;
    for (int i = 0; i < 16; i++) {
        if (table[i] != 0 && fabsf(table[i]) < unit) unit = fabsf(table[i]);
        low = fminf(low, table[i]);
        high = fmaxf(high, table[i]);
    }
    for (int part = 1; part <= 2 && !plan->integers; part++) {
        float factor = unit / (float)part;
        bool fits = unit < INFINITY && factor > 0 && high / factor - low / factor <= 127;
        for (int i = 0; fits && i < 16; i++) {
            float count = rintf(table[i] / factor);
            fits = count * factor == table[i];
            plan->codes[i] = (uint8_t)(count - rintf(low / factor));
        }
        if (!fits) continue;
        plan->integers = true;
        plan->zero = (int32_t)-rintf(low / factor);
        plan->factor = factor;
    }
    if (plan->integers) return;
    plan->factor = 1;
    nt_f32_to_bf16(table, plan->words, 16);
    memcpy(plan->words + 16, plan->words, 32);
}

bool nt_grouped_plan(const nt_grouped_source *s, nt_grouped *plan) {
    memset(plan, 0, sizeof *plan);
    if (s->group == 0 || s->k == 0) return false;
    plan->code = s->code;
    if (s->group >= s->k) plan->group = (s->k + 31) / 32 * 32;
    else if (s->group % 32 == 0) plan->group = s->group;
    else if (s->group % 16 == 0) plan->group = 16;
    else return false;
    size_t count = s->n * source_groups(s);
    plan->scale_type = exact_type(s->scales, count);
    plan_zeros(s->zeros, count, plan);
    plan->factor = 1;
    if (s->code == NT_CODE_UINT4 || s->code == NT_CODE_INT8) {
        plan->integers = true;
        return true;
    }
    if (plan->zero_kind != NT_ZERO_SAME || plan->zero != 0) return false;
    if (s->code == NT_CODE_FLOAT8) return true;
    if (!s->table) return false;
    plan_table(s->table, plan);
    return true;
}

size_t nt_grouped_bytes(const nt_grouped *plan, size_t n, size_t k) {
    if (plan->group == 0) return 0;
    return nt_panels(n) * grouped_layout(plan, k).bytes;
}

size_t nt_grouped_scratch_bytes(const nt_grouped *plan, nt_act act, size_t m, size_t k) {
    (void)plan;
    return m < 24 || act != NT_ACT_F32 ? 0 : (k + 31) / 32 * 32 * 16 * 4;
}

static uint8_t code_at(const nt_grouped_source *s, size_t row, size_t j) {
    if (s->code == NT_CODE_INT8 || s->code == NT_CODE_FLOAT8) return s->codes[row * s->k + j];
    return s->codes[row * ((s->k + 1) / 2) + j / 2] >> (j % 2 ? 4 : 0) & 15;
}

/// Code of element i of a block, row r of a panel.
static void place_code(const nt_grouped *plan, uint8_t *block, size_t r, size_t i, uint8_t code) {
    static const size_t pair_order[4] = {0, 2, 1, 3};
    switch (plan->code) {
    case NT_CODE_INT8: block[64 * (i / 4) + 4 * r + i % 4] = code ^ 0x80; break;
    case NT_CODE_FLOAT8: block[64 * (i / 4) + 4 * r + pair_order[i % 4]] = code; break;
    default:
        if (plan->integers) {
            block[64 * (i / 4 % 4) + 4 * r + i % 4] |= (uint8_t)(code << (i < 16 ? 0 : 4));
        } else {
            size_t half = i % 2, nibble = i % 8 / 2;
            block[64 * (i / 8) + 4 * r + 2 * half + nibble / 2] |= (uint8_t)(code << (nibble % 2 ? 4 : 0));
        }
    }
}

static void place_number(nt_type type, uint8_t *plane, size_t at, float value) {
    uint16_t half;
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if (type == NT_F32) { memcpy(plane + 4 * at, &bits, 4); return; }
    if (type == NT_BF16) half = (uint16_t)(bits >> 16);
    else nt_f32_to_f16(&value, &half, 1);
    memcpy(plane + 2 * at, &half, 2);
}

void nt_grouped_pack(const nt_grouped_source *s, const nt_grouped *plan, void *dst, size_t panel_begin, size_t panel_end) {
    if (plan->group == 0) return;
    struct grouped_layout l = grouped_layout(plan, s->k);
    const size_t groups = source_groups(s);
    for (size_t p = panel_begin; p < panel_end && p < nt_panels(s->n); p++) {
        uint8_t *panel = (uint8_t *)dst + p * l.bytes;
        memset(panel, 0, l.bytes);
        for (size_t r = 0; r < 16 && 16 * p + r < s->n; r++) {
            const size_t row = 16 * p + r;
            for (size_t j = 0; j < s->k; j++)
                place_code(plan, panel + l.codes + j / 32 * l.block_bytes, r, j % 32, code_at(s, row, j));
            for (size_t g = 0; g < l.groups; g++) {
                size_t column = g * plan->group, from = (column < s->k ? column : s->k - 1) / s->group;
                place_number(plan->scale_type, panel, 16 * g + r, s->scales[row * groups + from]);
                if (plan->zero_kind == NT_ZERO_F32) place_number(NT_F32, panel + l.zeros, 16 * g + r, s->zeros[row * groups + from]);
                if (plan->zero_kind == NT_ZERO_I8) panel[l.zeros + 16 * g + r] = (uint8_t)(int8_t)s->zeros[row * groups + from];
            }
        }
    }
}

static float float8_value(uint8_t code) {
    uint32_t exponent = code >> 3 & 15, fraction = code & 7;
    float value = exponent ? ldexpf((float)(8 + fraction), (int)exponent - 10) : ldexpf((float)fraction, -9);
    return code & 0x80 ? -value : value;
}

void nt_grouped_dequantize_row(const nt_grouped_source *s, size_t row, float *dst) {
    const size_t groups = source_groups(s);
    for (size_t j = 0; j < s->k; j++) {
        uint8_t code = code_at(s, row, j);
        float value = 0;
        switch (s->code) {
        case NT_CODE_UINT4: value = (float)code; break;
        case NT_CODE_INT8: value = (float)(int8_t)code; break;
        case NT_CODE_FLOAT8: value = float8_value(code); break;
        case NT_CODE_TABLE4: value = s->table[code]; break;
        }
        size_t at = row * groups + j / s->group;
        dst[j] = (value - (s->zeros ? s->zeros[at] : 0)) * s->scales[at];
    }
}
