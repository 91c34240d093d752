// Rotary embedding in place; pairs half a rotation apart, or neighbours.

INLINE void rope_half(float *h, size_t half, const float *c, const float *s) {
    for (size_t i = 0; i < half; i += 16) {
        size_t n = min_size(16, half - i);
        if (n == 16) {
            vf a = vf_load(h + i), b = vf_load(h + half + i), cv = vf_load(c + i), sv = vf_load(s + i);
            vf_store(h + i, a * cv - b * sv);
            vf_store(h + half + i, b * cv + a * sv);
        } else {
            vf a = vf_load_n(h + i, n), b = vf_load_n(h + half + i, n), cv = vf_load_n(c + i, n), sv = vf_load_n(s + i, n);
            vf_store_n(h + i, a * cv - b * sv, n);
            vf_store_n(h + half + i, b * cv + a * sv, n);
        }
    }
}

INLINE void rope_neighbours(float *h, size_t half, const float *c, const float *s) {
    size_t i = 0;
    for (; i + 16 <= half; i += 16) {
        vf lo = vf_load(h + 2 * i), hi = vf_load(h + 2 * i + 16), cv = vf_load(c + i), sv = vf_load(s + i);
        vf a = __builtin_shufflevector(lo, hi, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        vf b = __builtin_shufflevector(lo, hi, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
        vf x = a * cv - b * sv, y = b * cv + a * sv;
        vf_store(h + 2 * i, __builtin_shufflevector(x, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
        vf_store(h + 2 * i + 16, __builtin_shufflevector(x, y, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
    }
    for (; i < half; i++) {
        float a = h[2 * i], b = h[2 * i + 1];
        h[2 * i] = a * c[i] - b * s[i];
        h[2 * i + 1] = b * c[i] + a * s[i];
    }
}

static void rope(float *x, size_t tokens, size_t token_stride, size_t heads, size_t head_dim, size_t rot,
                 const float *cos, const float *sin, const int32_t *rows, nt_rope_style style) {
    size_t half = rot / 2;
    for (size_t t = 0; t < tokens; t++) {
        size_t row = rows ? (size_t)rows[t] : t;
        const float *c = cos + row * half, *s = sin + row * half;
        for (size_t head = 0; head < heads; head++) {
            float *h = x + t * token_stride + head * head_dim;
            if (style == NT_ROPE_HALF) rope_half(h, half, c, s);
            else rope_neighbours(h, half, c, s);
        }
    }
}
