/// Reductions over one row of logits. NaN counts as -inf everywhere.
#ifndef NT_SAMPLING_H
#define NT_SAMPLING_H

#include "nt_types.h"

/// Index of the largest value, the lowest on ties; 0 when count is 0 or all values are NaN or -inf.
size_t nt_argmax(const float *x, size_t count);
/// Largest value; -inf when there is none.
float nt_max(const float *x, size_t count);
/// sum over i of exp(x[i] - shift), in a fixed order.
float nt_sum_exp(const float *x, size_t count, float shift);
/// log(sum exp x); -inf when all are -inf.
float nt_logsumexp(const float *x, size_t count);
/// How many values are strictly larger than `value` (the rank of a token).
size_t nt_count_larger(const float *x, size_t count, float value);
/// y[i] = exp(x[i] - shift); NaN gives 0. y may be x.
void nt_exp_shift(float *y, const float *x, size_t count, float shift);

#endif
