/// Least-squares search of scales: sum of importance * (x - approximation)² as small as a bounded search finds it.
///
/// A code of kind UNIFORM is an integer lo...hi; of kind IQ4 or E2M1 it is one of 16 values. All lengths are 16 or 32 and
/// known where these are inlined.
#ifndef NT_QUANTIZE_FIT_H
#define NT_QUANTIZE_FIT_H

#include "block_types.h"

#define FIT static inline __attribute__((always_inline))
#define REASSOCIATE _Pragma("clang fp reassociate(on)")

typedef struct { float lo, hi; bool iq4; } code_range;

static const int8_t iq4_table[16] = {IQ4_VALUES}, mxfp4_table[16] = {MXFP4_VALUES};

/// Nearest integer, ties to even; |v| below 2^22.
FIT float rounded(float v) { return (v + 0x1.8p23f) - 0x1.8p23f; }
FIT float clamped(float v, float lo, float hi) { v = v < lo ? lo : v; return v > hi ? hi : v; }
/// Index of the nearest value of the IQ4 table.
FIT int iq4_index(float v) {
    int i = 0;
    for (int j = 1; j < 16; j++) i += 2 * v > (float)(iq4_table[j - 1] + iq4_table[j]);
    return i;
}
/// The value of the code nearest to v.
FIT float nearest(const code_range c, float v) {
    if (c.iq4) return (float)iq4_table[iq4_index(v)];
    return rounded(clamped(v, c.lo, c.hi));
}

/// Scale d with the least sum of w (x - d q)², q the nearest codes, among scales that take the largest |x| to about c.lo.
FIT float fit_scale(const int n, const float *x, const float *w, const code_range c, const int steps, const float step) {
    REASSOCIATE
    float top = 0;
    for (int i = 0; i < n; i++) if (__builtin_fabsf(x[i]) > __builtin_fabsf(top)) top = x[i];
    if (__builtin_fabsf(top) < 0x1p-100f) return 0;
    float best = 0, scale = 0;
    for (int turn = -steps; turn <= steps + 2; turn++) {       // the last two start from the best codes again
        float inverse = turn > steps ? 1 / scale : (c.lo + step * (float)turn) / top, xq = 0, qq = 0;
        if (turn > steps && scale == 0) break;
        for (int i = 0; i < n; i++) {
            float q = nearest(c, x[i] * inverse);
            xq += w[i] * x[i] * q;
            qq += w[i] * q * q;
        }
        if (qq > 0 && xq * xq > best * qq) { best = xq * xq / qq; scale = xq / qq; }
    }
    return scale;
}

/// Scale and offset with the least sum of w (x - d q - m)², q in 0...top; `negative`: m must not be above 0.
FIT float fit_affine(const int n, const float *x, const float *w, const float top, const bool negative, float *offset) {
    REASSOCIATE
    float low = x[0], high = x[0], sw = 0, sx = 0;
    for (int i = 0; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        sw += w[i];
        sx += w[i] * x[i];
    }
    if (negative && low > 0) low = 0;
    *offset = low;
    if (!(high - low > 0x1p-100f) || !(sw > 0)) return 0;
    float scale = (high - low) / top, best = __builtin_inff(), start = low;
    for (int turn = -1; turn <= 22; turn++) {                  // the last two start from the best codes again
        float inverse = turn < 0 ? top / (high - low) : turn > 20 ? 1 / scale : (top - 1 + 0.1f * (float)turn) / (high - low);
        float q1 = 0, q2 = 0, xq = 0;
        if (turn > 20) start = *offset;
        for (int i = 0; i < n; i++) {
            float q = rounded(clamped((x[i] - start) * inverse, 0, top));
            q1 += w[i] * q;
            q2 += w[i] * q * q;
            xq += w[i] * x[i] * q;
        }
        float det = sw * q2 - q1 * q1, d, m;
        if (!(det > 0x1p-40f * sw * q2)) continue;
        d = (sw * xq - sx * q1) / det;
        m = (q2 * sx - q1 * xq) / det;
        if (negative && m > 0) { m = 0; d = xq / q2; }
        if (!(d > 0)) continue;
        float error = 0, again = 1 / d;
        for (int i = 0; i < n; i++) {
            float q = rounded(clamped((x[i] - m) * again, 0, top)), e = x[i] - m - d * q;
            error += w[i] * e * e;
        }
        if (error < best) { best = error; scale = d; *offset = m; }
    }
    return scale;
}

/// Sum of w (x - d q - m)² with the nearest codes.
FIT float fit_error(const int n, const float *x, const float *w, const code_range c, float d, float m) {
    REASSOCIATE
    float error = 0, inverse = d != 0 ? 1 / d : 0;
    for (int i = 0; i < n; i++) {
        float e = x[i] - m - d * nearest(c, (x[i] - m) * inverse);
        error += w[i] * e * e;
    }
    return error;
}

/// The finite half nearest to v, and its bits.
float nt_round_to_half(float v, uint8_t *bits);

#endif
