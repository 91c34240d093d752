// Rows of a block type into a panel of codes and scales that the products read.
#include "expand.h"

#define EXPAND_PANEL(name, type)                                                                                        \
    static void panel_##name(const uint8_t *rows, size_t row_bytes, size_t row_count, size_t first, size_t count,      \
                             uint8_t *codes, float *scales) {                                                           \
        const size_t bytes = nt_block_bytes(type), elements = nt_block_elements(type);                                  \
        for (size_t r = 0; r < row_count; r++) {                                                                        \
            const uint8_t *b = rows + r * row_bytes + first * bytes;                                                    \
            for (size_t at = 0; at < count * bytes; at += 64) __builtin_prefetch(b + 16 * row_bytes + at);              \
            for (size_t i = 0; i < count; i++)                                                                          \
                expand_block(type, b + i * bytes, codes + 16 * elements * i + 8 * r, scales + elements * i + r, 128, 16); \
        }                                                                                                               \
    }
EXPAND_PANEL(q1_0, NT_Q1_0)
EXPAND_PANEL(q2_0, NT_Q2_0)
EXPAND_PANEL(q8_1, NT_Q8_1)
EXPAND_PANEL(q8_k, NT_Q8_K)
EXPAND_PANEL(tq1_0, NT_TQ1_0)
EXPAND_PANEL(tq2_0, NT_TQ2_0)
EXPAND_PANEL(nvfp4, NT_NVFP4)
EXPAND_PANEL(iq1_s, NT_IQ1_S)
EXPAND_PANEL(iq1_m, NT_IQ1_M)
EXPAND_PANEL(iq2_xxs, NT_IQ2_XXS)
EXPAND_PANEL(iq2_xs, NT_IQ2_XS)
EXPAND_PANEL(iq2_s, NT_IQ2_S)
EXPAND_PANEL(iq3_xxs, NT_IQ3_XXS)
EXPAND_PANEL(iq3_s, NT_IQ3_S)

void nt_expand_panel(nt_type type, const void *rows, size_t row_bytes, size_t row_count, size_t first, size_t count,
                     uint8_t *codes, float *scales) {
#define FORWARD(name, type) case type: panel_##name(rows, row_bytes, row_count, first, count, codes, scales); break;
    switch (type) {
    FORWARD(q1_0, NT_Q1_0) FORWARD(q2_0, NT_Q2_0) FORWARD(q8_1, NT_Q8_1) FORWARD(q8_k, NT_Q8_K)
    FORWARD(tq1_0, NT_TQ1_0) FORWARD(tq2_0, NT_TQ2_0) FORWARD(nvfp4, NT_NVFP4)
    FORWARD(iq1_s, NT_IQ1_S) FORWARD(iq1_m, NT_IQ1_M)
    FORWARD(iq2_xxs, NT_IQ2_XXS) FORWARD(iq2_xs, NT_IQ2_XS) FORWARD(iq2_s, NT_IQ2_S)
    FORWARD(iq3_xxs, NT_IQ3_XXS) FORWARD(iq3_s, NT_IQ3_S)
    default: break;
    }
}
