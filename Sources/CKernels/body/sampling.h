// Reductions over one row of logits; NaN is replaced by -inf as it is loaded.

INLINE vf logits_load(const float *x, size_t i, size_t count) {
    vf v;
    if (i + 16 <= count) {
        v = vf_load(x + i);
    } else {
        float lane[16];
        size_t n = count - i;
        for (size_t j = 0; j < 16; j++) lane[j] = j < n ? x[i + j] : NEGATIVE_INFINITY;
        v = vf_load(lane);
    }
    return vf_select(v == v, v, vf_set(NEGATIVE_INFINITY));
}

static float max_value(const float *x, size_t count) {
    vf a = vf_set(NEGATIVE_INFINITY), b = a;
    for (size_t i = 0; i < count; i += 32) {
        a = vf_max(a, logits_load(x, i, count));
        if (i + 16 < count) b = vf_max(b, logits_load(x, i + 16, count));
    }
    return vf_reduce_max(vf_max(a, b));
}

static size_t argmax(const float *x, size_t count) {
    float top = max_value(x, count);
    if (!(top > NEGATIVE_INFINITY)) return 0;
    for (size_t i = 0; i < count; i += 64) {                   // by 64 so that the compare is vector code
        size_t n = min_size(64, count - i);
        int hit = 0;
        for (size_t j = 0; j < n; j++) hit |= x[i + j] == top;
        if (!hit) continue;
        for (size_t j = 0; j < n; j++)
            if (x[i + j] == top) return i + j;
    }
    return 0;
}

static float sum_exp(const float *x, size_t count, float shift) {
    vf s0 = vf_set(0), s1 = s0, c = vf_set(shift);
    for (size_t i = 0; i < count; i += 32) {
        s0 += vf_exp(logits_load(x, i, count) - c);
        if (i + 16 < count) s1 += vf_exp(logits_load(x, i + 16, count) - c);
    }
    return vf_sum(s0 + s1);
}

static size_t count_larger(const float *x, size_t count, float value) {
    size_t larger = 0;
    for (size_t i = 0; i < count; i += 1024) {                 // 32-bit lane counters, widened each 1024
        vi n = vi_set(0);
        for (size_t j = i; j < min_size(i + 1024, count); j += 16) n -= logits_load(x, j, count) > vf_set(value);
        larger += (size_t)vi_sum(n);
    }
    return larger;
}

static void exp_shift(float *y, const float *x, size_t count, float shift) {
    vf c = vf_set(shift);
    for (size_t i = 0; i < count; i += 16) {
        vf v = vf_exp(logits_load(x, i, count) - c);
        if (i + 16 <= count) vf_store(y + i, v);
        else vf_store_n(y + i, v, count - i);
    }
}

static void softmax_rows(float *x, size_t x_stride, size_t rows, size_t k) {
    for (size_t r = 0; r < rows; r++) {
        float *row = x + r * x_stride, top = max_value(row, k);
        if (!(top > NEGATIVE_INFINITY)) {
            for (size_t i = 0; i < k; i++) row[i] = 0;
            continue;
        }
        exp_shift(row, row, k, top);
        vf s = vf_set(0);
        for (size_t i = 0; i < k; i += 16) s += vf_load_n(row + i, min_size(16, k - i));
        scale(row, row, 1.0f / vf_sum(s), k);
    }
}
