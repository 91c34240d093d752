// Norms, activations and sums. Rows go by 32 elements, the tail padded with zeros, so that a row may end in q8.

/// Sum over a row of f(x), two accumulators, the tail as zeros kept out by `keep`.
INLINE float row_sum(const float *row, size_t k, const int squared, float shift) {
    vf s0 = vf_set(0), s1 = vf_set(0), c = vf_set(shift);
    size_t i = 0;
    for (; i + 32 <= k; i += 32) {
        vf a = vf_load(row + i) - c, b = vf_load(row + i + 16) - c;
        if (squared) { s0 = vf_fma(a, a, s0); s1 = vf_fma(b, b, s1); } else { s0 += a; s1 += b; }
    }
    float sum = vf_sum(s0 + s1);
    for (; i < k; i++) {
        float a = row[i] - shift;
        sum += squared ? a * a : a;
    }
    return sum;
}

INLINE void norm_row(const float *in, size_t k, float shift, float factor, const float *weight, float offset,
                     const float *bias, const nt_act type, char *to, struct q8_layout q) {
    vf f = vf_set(factor), c = vf_set(shift), o = vf_set(offset);
    for (size_t i = 0; i < k; i += 32) {
        size_t n = min_size(32, k - i);
        vf v0, v1, w0, w1;
        row_load32(in, i, n, &v0, &v1);
        v0 = (v0 - c) * f;
        v1 = (v1 - c) * f;
        if (weight) {
            row_load32(weight, i, n, &w0, &w1);
            v0 *= w0 + o;
            v1 *= w1 + o;
        }
        if (bias) {
            row_load32(bias, i, n, &w0, &w1);
            v0 += w0;
            v1 += w1;
        }
        if (n < 32 && type == NT_ACT_Q8) {                     // a shift or offset must not leak behind the row's end
            float tail[32];
            vf_store(tail, v0);
            vf_store(tail + 16, v1);
            row_load32(tail, 0, n, &v0, &v1);
        }
        out_store32(type, to, q, i, n, v0, v1);
    }
}

static void rms_norm(const float *x, size_t x_stride, size_t rows, size_t k, const float *weight, float weight_offset,
                     float eps, nt_out out) {
    struct q8_layout q = q8_layout(k);
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * x_stride;
        char *to = (char *)out.rows + r * out.stride;
        float factor = 1.0f / __builtin_sqrtf(row_sum(in, k, 1, 0) / (float)k + eps);
        if (out.type == NT_ACT_Q8) norm_row(in, k, 0, factor, weight, weight_offset, 0, NT_ACT_Q8, to, q);
        else if (out.type == NT_ACT_BF16) norm_row(in, k, 0, factor, weight, weight_offset, 0, NT_ACT_BF16, to, q);
        else norm_row(in, k, 0, factor, weight, weight_offset, 0, NT_ACT_F32, to, q);
    }
}

static void layer_norm(const float *x, size_t x_stride, size_t rows, size_t k, const float *weight, const float *bias,
                       float eps, nt_out out) {
    struct q8_layout q = q8_layout(k);
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * x_stride;
        float mean = row_sum(in, k, 0, 0) / (float)k;
        float factor = 1.0f / __builtin_sqrtf(row_sum(in, k, 1, mean) / (float)k + eps);
        norm_row(in, k, mean, factor, weight, 0, bias, out.type, (char *)out.rows + r * out.stride, q);
    }
}

INLINE vf activation(const nt_activation f, vf x) {
    const vf half = vf_set(0.5f), one = vf_set(1.0f), zero = vf_set(0);
    switch (f) {
    case NT_SILU: return x / (one + vf_exp(-x));
    case NT_GELU_TANH: {
        vf inner = vf_set(0.79788456080286535588f) * vf_fma(vf_set(0.044715f) * (x * x), x, x);
        return half * x * (one + vf_tanh(inner));
    }
    case NT_GELU_ERF: return half * x * (one + vf_erf(x * vf_set(0.70710678118654752440f)));
    case NT_RELU: return vf_max(x, zero);
    case NT_RELU2: { vf y = vf_max(x, zero); return y * y; }
    case NT_SIGMOID: return vf_sigmoid(x);
    case NT_TANH: return vf_tanh(x);
    case NT_GELU_QUICK: return x / (one + vf_exp(vf_set(-1.702f) * x));
    case NT_IDENTITY: return x;
    }
    return x;
}

INLINE void activate_rows(const nt_activation f, const float *gate, size_t gate_stride, const float *up, size_t up_stride,
                          size_t rows, size_t k, nt_out out) {
    struct q8_layout q = q8_layout(k);
    for (size_t r = 0; r < rows; r++) {
        const float *g = gate + r * gate_stride, *u = up ? up + r * up_stride : 0;
        char *to = (char *)out.rows + r * out.stride;
        for (size_t i = 0; i < k; i += 32) {
            size_t n = min_size(32, k - i);
            vf v0, v1, u0, u1;
            row_load32(g, i, n, &v0, &v1);
            v0 = activation(f, v0);
            v1 = activation(f, v1);
            if (u) {
                row_load32(u, i, n, &u0, &u1);
                v0 *= u0;
                v1 *= u1;
            } else if (n < 32) {                               // sigmoid(0) is not 0: keep the tail clean for q8
                float tail[32];
                vf_store(tail, v0);
                vf_store(tail + 16, v1);
                row_load32(tail, 0, n, &v0, &v1);
            }
            out_store32(out.type, to, q, i, n, v0, v1);
        }
    }
}

#define ACTIVATE(f)                                                                                                  \
    KERNEL void activate_##f(const float *g, size_t gs, const float *u, size_t us, size_t rows, size_t k, nt_out o) { \
        activate_rows(f, g, gs, u, us, rows, k, o);                                                                  \
    }
ACTIVATE(NT_SILU)
ACTIVATE(NT_GELU_TANH)
ACTIVATE(NT_GELU_ERF)
ACTIVATE(NT_RELU)
ACTIVATE(NT_RELU2)
ACTIVATE(NT_SIGMOID)
ACTIVATE(NT_TANH)
ACTIVATE(NT_IDENTITY)
ACTIVATE(NT_GELU_QUICK)

static void activate(nt_activation f, const float *gate, size_t gate_stride, const float *up, size_t up_stride,
                     size_t rows, size_t k, nt_out out) {
#define CASE(f) case f: activate_##f(gate, gate_stride, up, up_stride, rows, k, out); break;
    switch (f) {
    CASE(NT_SILU) CASE(NT_GELU_TANH) CASE(NT_GELU_ERF) CASE(NT_RELU) CASE(NT_RELU2) CASE(NT_SIGMOID) CASE(NT_TANH)
    CASE(NT_IDENTITY) CASE(NT_GELU_QUICK)
    }
#undef CASE
}

/// gpt-oss: the gate is cut from above, up on both sides, and up counts from 1.
KERNEL void activate_clamped(float alpha, float limit, const float *gate, size_t gate_stride, const float *up, size_t up_stride,
                             size_t rows, size_t k, nt_out out) {
    struct q8_layout q = q8_layout(k);
    const vf a = vf_set(-alpha), top = vf_set(limit), bottom = vf_set(-limit), one = vf_set(1.0f);
    for (size_t r = 0; r < rows; r++) {
        const float *g = gate + r * gate_stride, *u = up ? up + r * up_stride : 0;
        char *to = (char *)out.rows + r * out.stride;
        for (size_t i = 0; i < k; i += 32) {
            size_t n = min_size(32, k - i);
            vf v0, v1, u0 = vf_set(0), u1 = vf_set(0);         // a gate of 0 behind the row's end gives 0
            row_load32(g, i, n, &v0, &v1);
            if (u) row_load32(u, i, n, &u0, &u1);
            v0 = vf_min(top, v0);                              // in this order NaN stays NaN
            v1 = vf_min(top, v1);
            v0 = v0 / (one + vf_exp(a * v0));
            v1 = v1 / (one + vf_exp(a * v1));
            v0 *= one + vf_max(bottom, vf_min(top, u0));
            v1 *= one + vf_max(bottom, vf_min(top, u1));
            out_store32(out.type, to, q, i, n, v0, v1);
        }
    }
}

/// y[i] = EXPR of vectors v = y[i], w = x[i].
#define ELEMENTWISE(NAME, ARGS, SOURCE, EXPR)                                                  \
    static void NAME ARGS {                                                                    \
        size_t i = 0;                                                                          \
        for (; i + 16 <= count; i += 16) {                                                     \
            vf v = vf_load(y + i), w = vf_load(SOURCE + i);                                    \
            (void)v;                                                                           \
            vf_store(y + i, EXPR);                                                             \
        }                                                                                      \
        if (i < count) {                                                                       \
            vf v = vf_load_n(y + i, count - i), w = vf_load_n(SOURCE + i, count - i);          \
            (void)v;                                                                           \
            vf_store_n(y + i, EXPR, count - i);                                                \
        }                                                                                      \
    }
ELEMENTWISE(add, (float *y, const float *x, size_t count), x, v + w)
ELEMENTWISE(add_scaled, (float *y, const float *x, float factor, size_t count), x, vf_fma(w, vf_set(factor), v))
ELEMENTWISE(scale, (float *y, const float *x, float factor, size_t count), x, w * vf_set(factor))
ELEMENTWISE(multiply, (float *y, const float *x, size_t count), x, v * w)
ELEMENTWISE(softcap, (float *y, float cap, size_t count), y, vf_set(cap) * vf_tanh(w / vf_set(cap)))
ELEMENTWISE(clamp, (float *y, float limit, size_t count), y, vf_min(vf_set(limit), vf_max(vf_set(-limit), w)))
