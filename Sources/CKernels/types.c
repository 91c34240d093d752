// Sizes of element and block types, and rows gathered from a stored matrix.
#include "include/nt_types.h"
#include <string.h>

size_t nt_block_elements(nt_type type) {
    switch (type) {
    case NT_F32: case NT_F16: case NT_BF16: return 1;
    case NT_Q4_0: case NT_Q4_1: case NT_Q5_0: case NT_Q5_1: case NT_Q8_0: case NT_Q8_1: case NT_IQ4_NL:
    case NT_MXFP4: return 32;
    case NT_NVFP4: case NT_Q2_0: return 64;
    case NT_Q1_0: return 128;
    case NT_Q2_K: case NT_Q3_K: case NT_Q4_K: case NT_Q5_K: case NT_Q6_K: case NT_Q8_K: case NT_IQ4_XS:
    case NT_IQ1_S: case NT_IQ1_M: case NT_IQ2_XXS: case NT_IQ2_XS: case NT_IQ2_S: case NT_IQ3_XXS: case NT_IQ3_S:
    case NT_TQ1_0: case NT_TQ2_0: return 256;
    }
    return 0;
}

size_t nt_block_bytes(nt_type type) {
    switch (type) {
    case NT_F32: return 4;
    case NT_F16: case NT_BF16: return 2;
    case NT_Q4_0: case NT_IQ4_NL: case NT_Q1_0: case NT_Q2_0: return 18;
    case NT_Q4_1: return 20;
    case NT_Q5_0: return 22;
    case NT_Q5_1: return 24;
    case NT_Q8_0: return 34;
    case NT_Q8_1: case NT_NVFP4: return 36;
    case NT_MXFP4: return 17;
    case NT_Q2_K: return 84;
    case NT_Q3_K: case NT_IQ3_S: return 110;
    case NT_Q4_K: return 144;
    case NT_Q5_K: return 176;
    case NT_Q6_K: return 210;
    case NT_Q8_K: return 292;
    case NT_IQ4_XS: return 136;
    case NT_IQ1_S: return 50;
    case NT_IQ1_M: return 56;
    case NT_IQ2_XXS: case NT_TQ2_0: return 66;
    case NT_IQ2_XS: return 74;
    case NT_IQ2_S: return 82;
    case NT_IQ3_XXS: return 98;
    case NT_TQ1_0: return 54;
    }
    return 0;
}

size_t nt_row_bytes(nt_type type, size_t k) {
    size_t elements = nt_block_elements(type);
    if (elements == 0 || k % elements != 0) return 0;
    return k / elements * nt_block_bytes(type);
}

bool nt_gather_rows(nt_type type, const void *matrix, size_t rows, size_t k,
                    const int32_t *ids, size_t count, float *dst, size_t dst_stride) {
    size_t bytes = nt_row_bytes(type, k);
    if (bytes == 0 && k != 0) return false;
    for (size_t i = 0; i < count; i++) {
        float *row = dst + i * dst_stride;
        if (ids[i] < 0 || (size_t)ids[i] >= rows) memset(row, 0, k * 4);
        else nt_dequantize_row(type, (const char *)matrix + (size_t)ids[i] * bytes, row, k);
    }
    return true;
}
