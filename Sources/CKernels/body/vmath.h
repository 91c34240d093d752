// exp, tanh and erf on 16 lanes: polynomials in f32, the same bits for full vectors and tails.

/// eˣ within 1 ulp or so; +inf above 88.73 (below AVX-512: 88.376), 0 for results under the least subnormal (below
/// AVX-512: under the least normal), NaN stays NaN.
INLINE vf vf_exp(vf x) {
#if NT_LEVEL >= 2
    x = (vf)_mm512_max_ps(_mm512_set1_ps(-104.0f), _mm512_min_ps(_mm512_set1_ps(89.0f), (__m512)x));   // NaN passes
#endif
    vf magic = vf_set(0x1.8p23f);
    vf t = vf_fma(x, vf_set(1.44269504088896341f), magic);
    vf n = t - magic;                                          // round(x / ln 2)
    vf r = vf_fma(n, vf_set(-0.693145751953125f), x);         // ln 2 in two parts
    r = vf_fma(n, vf_set(-1.42860682030941723212e-6f), r);
    vf p = vf_set(1.9875691500e-4f);                           // Cephes expf minimax on |r| <= ln 2 / 2
    p = vf_fma(p, r, vf_set(1.3981999507e-3f));
    p = vf_fma(p, r, vf_set(8.3334519073e-3f));
    p = vf_fma(p, r, vf_set(4.1665795894e-2f));
    p = vf_fma(p, r, vf_set(1.6666665459e-1f));
    p = vf_fma(p, r, vf_set(5.0000001201e-1f));
    p = vf_fma(p, r * r, r) + vf_set(1.0f);
#if NT_LEVEL >= 2
    return (vf)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
    vi k = (vi)((vu)t << 23);                                  // n in the exponent's place (magic's low bits are n)
    vf y = (vf)((vi)((vu)p + (vu)k));
    y = vf_select(x < vf_set(-87.336544f), vf_set(0.0f), y);
    y = vf_select(x > vf_set(88.3762626647949f), vf_set(__builtin_inff()), y);
    return vf_select(x != x, x, y);
#endif
}

/// tanh x: odd polynomial near 0, 1 - 2 / (e²ˣ + 1) elsewhere.
INLINE vf vf_tanh(vf x) {
    vf a = vf_abs(x), s = x * x;
    vf p = vf_set(-5.70498872745e-3f);                         // Cephes tanhf, |x| < 0.625
    p = vf_fma(p, s, vf_set(2.06390887954e-2f));
    p = vf_fma(p, s, vf_set(-5.37397155531e-2f));
    p = vf_fma(p, s, vf_set(1.33314422036e-1f));
    p = vf_fma(p, s, vf_set(-3.33332819422e-1f));
    vf near = vf_fma(p * s, x, x);
    vf e = vf_exp(vf_min(vf_set(40.0f), a + a));               // vf_min keeps NaN out of nothing: restored below
    vf far = vf_set(1.0f) - vf_set(2.0f) / (e + vf_set(1.0f));
    far = (vf)((vi)far | ((vi)x & (int32_t)0x80000000));
    vf y = vf_select(a < vf_set(0.625f), near, far);
    return vf_select(x != x, x, y);
}

INLINE vf vf_sigmoid(vf x) { return vf_set(1.0f) / (vf_set(1.0f) + vf_exp(-x)); }

/// erf x to about 2 ulp of 1: x P(x²) for |x| < 1 and 1 - exp(-x²) R(1 / x)… beyond (coefficients of Cephes' ndtrf).
INLINE vf vf_erf(vf x) {
    vf a = vf_abs(x), z = x * x;
    vf p = vf_set(7.853861353153693e-5f);
    p = vf_fma(p, z, vf_set(-8.010193625184903e-4f));
    p = vf_fma(p, z, vf_set(5.188327685732524e-3f));
    p = vf_fma(p, z, vf_set(-2.685381193529856e-2f));
    p = vf_fma(p, z, vf_set(1.128358514861418e-1f));
    p = vf_fma(p, z, vf_set(-3.761262582423300e-1f));
    p = vf_fma(p, z, vf_set(1.128379165726710e+0f));
    vf near = x * p;
    vf b = vf_min(a, vf_set(9.0f)), q = vf_set(1.0f) / b, w = q * q;
    vf s = vf_set(2.326819970068386e-2f);                      // 1 <= |x| < 2
    s = vf_fma(s, w, vf_set(-1.387039388740657e-1f));
    s = vf_fma(s, w, vf_set(3.687424674597105e-1f));
    s = vf_fma(s, w, vf_set(-5.824733027278666e-1f));
    s = vf_fma(s, w, vf_set(6.210004621745983e-1f));
    s = vf_fma(s, w, vf_set(-4.944515323274145e-1f));
    s = vf_fma(s, w, vf_set(3.404879937665872e-1f));
    s = vf_fma(s, w, vf_set(-2.741127028184656e-1f));
    s = vf_fma(s, w, vf_set(5.638259427386472e-1f));
    vf t = vf_set(-1.047766399936249e+1f);                     // |x| >= 2
    t = vf_fma(t, w, vf_set(1.297719955372516e+1f));
    t = vf_fma(t, w, vf_set(-7.495518717768503e+0f));
    t = vf_fma(t, w, vf_set(2.921019019210786e+0f));
    t = vf_fma(t, w, vf_set(-1.015265279202700e+0f));
    t = vf_fma(t, w, vf_set(4.218463358204948e-1f));
    t = vf_fma(t, w, vf_set(-2.820767439740514e-1f));
    t = vf_fma(t, w, vf_set(5.641895067754075e-1f));
    vf tail = vf_exp(-(b * b)) * q * vf_select(b < vf_set(2.0f), s, t);
    vf far = (vf)((vi)(vf_set(1.0f) - tail) | ((vi)x & (int32_t)0x80000000));
    vf y = vf_select(a < vf_set(1.0f), near, far);
    return vf_select(x != x, x, y);
}
