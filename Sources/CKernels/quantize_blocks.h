/// Quantisers of one block; x are finite, w (importance) positive, both as long as the block.
#ifndef NT_QUANTIZE_BLOCKS_H
#define NT_QUANTIZE_BLOCKS_H

#include <stdint.h>

void nt_quantize_q2_k(const float *x, const float *w, uint8_t *block);
void nt_quantize_q3_k(const float *x, const float *w, uint8_t *block);
void nt_quantize_q4_k(const float *x, const float *w, uint8_t *block);
void nt_quantize_q5_k(const float *x, const float *w, uint8_t *block);
void nt_quantize_q6_k(const float *x, const float *w, uint8_t *block);
void nt_quantize_iq4_xs(const float *x, const float *w, uint8_t *block);

#endif
