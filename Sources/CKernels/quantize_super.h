/// Two levels of scales: sub-blocks of a super-block of 256 share halves d (and dmin), and have small integers of their own.
#ifndef NT_QUANTIZE_SUPER_H
#define NT_QUANTIZE_SUPER_H

#include "quantize_fit.h"

#define SUPER_ROUNDS 2   // of: best integers for the present halves, best halves for those integers

typedef struct {
    float d, min;          ///< rounded to halves
    int scale[16], low[16];///< of each sub-block: w = d * scale * q - min * low
} super_scales;

/// Integers next to the present ones that suit sub-block j better. Scales lo...hi, mins 0...hi (only where there are any).
FIT float better_integers(const int n, const float *x, const float *w, const code_range c, super_scales *s, int j, int lo, int hi, const bool affine) {
    int scale = s->scale[j], low = s->low[j];
    float best = fit_error(n, x, w, c, s->d * (float)scale, -s->min * (float)low);
    for (int a = scale - 1; a <= scale + 1; a++)
        for (int b = affine ? low - 1 : low; b <= (affine ? low + 1 : low); b++) {
            if (a < lo || a > hi || (affine && (b < 0 || b > hi)) || (a == scale && b == low)) continue;
            float error = fit_error(n, x, w, c, s->d * (float)a, -s->min * (float)b);
            if (error < best) { best = error; s->scale[j] = a; s->low[j] = b; }
        }
    return best;
}

/// Halves with the least error for the integers of `s` and the codes that go with them; 0 where there are none.
FIT void best_halves(const int n, const float *x, const float *w, const code_range c, const super_scales *s, float *d, float *min) {
    REASSOCIATE
    float aa = 0, ab = 0, bb = 0, xa = 0, xb = 0;
    for (int j = 0; j < 256 / n; j++) {
        float scale = s->d * (float)s->scale[j], offset = s->min * (float)s->low[j], inverse = scale != 0 ? 1 / scale : 0;
        for (int i = n * j; i < n * (j + 1); i++) {
            float a = (float)s->scale[j] * nearest(c, (x[i] + offset) * inverse), b = -(float)s->low[j];
            aa += w[i] * a * a;
            ab += w[i] * a * b;
            bb += w[i] * b * b;
            xa += w[i] * x[i] * a;
            xb += w[i] * x[i] * b;
        }
    }
    float det = aa * bb - ab * ab;
    *d = *min = 0;
    if (det > 0x1p-20f * aa * bb) {
        *d = (xa * bb - xb * ab) / det;
        *min = (xb * aa - xa * ab) / det;
    } else if (aa > 0) {
        *d = xa / aa;
    }
}

/// The super-block's scales for 256 x. Integers lo...hi; `affine` types have mins as well and lo = 0.
FIT super_scales fit_super(const int n, const float *x, const float *w, const code_range c, int lo, int hi, const bool affine) {
    super_scales s = {0}, found;
    float scale[16], low[16], top = 0, deepest = 0, best = 0;
    for (int j = 0; j < 256 / n; j++) {
        float offset = 0;
        if (affine) scale[j] = fit_affine(n, x + n * j, w + n * j, c.hi, true, &offset);
        else scale[j] = fit_scale(n, x + n * j, w + n * j, c, 9, c.iq4 ? 1.5f : 0.1f);
        low[j] = -offset;
        if (__builtin_fabsf(scale[j]) > __builtin_fabsf(top)) top = scale[j];
        if (low[j] > deepest) deepest = low[j];
    }
    s.d = nt_round_to_half(top / (float)(affine ? hi : lo), 0);
    s.min = nt_round_to_half(deepest / (float)hi, 0);
    for (int j = 0; j < 256 / n; j++) {
        s.scale[j] = s.d != 0 ? (int)rounded(clamped(scale[j] / s.d, (float)lo, (float)hi)) : 0;
        s.low[j] = s.min > 0 ? (int)rounded(clamped(low[j] / s.min, 0, (float)hi)) : 0;
        best += fit_error(n, x + n * j, w + n * j, c, s.d * (float)s.scale[j], -s.min * (float)s.low[j]);
    }
    found = s;
    for (int round = 0; round < SUPER_ROUNDS; round++) {
        float error = 0;
        for (int j = 0; j < 256 / n; j++) error += better_integers(n, x + n * j, w + n * j, c, &s, j, lo, hi, affine);
        if (error < best) { best = error; found = s; }
        float d, min;
        best_halves(n, x, w, c, &s, &d, &min);
        s.d = nt_round_to_half(d, 0);
        s.min = affine && min > 0 ? nt_round_to_half(min, 0) : 0;
        error = 0;
        for (int j = 0; j < 256 / n; j++) error += fit_error(n, x + n * j, w + n * j, c, s.d * (float)s.scale[j], -s.min * (float)s.low[j]);
        if (!(error < best)) break;
        best = error;
        found = s;
    }
    return found;
}

/// Codes of sub-block j: value - lo for UNIFORM, index for IQ4.
FIT void super_codes(const int n, const float *x, const code_range c, const super_scales *s, int j, uint8_t *u) {
    float scale = s->d * (float)s->scale[j], offset = s->min * (float)s->low[j], inverse = scale != 0 ? 1 / scale : 0;
    for (int i = 0; i < n; i++) {
        float v = (x[i] + offset) * inverse;
        u[i] = (uint8_t)(c.iq4 ? iq4_index(v) : (int)(nearest(c, v) - c.lo));
    }
}

#endif
