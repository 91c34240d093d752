// Looking codes up in tables of 16 values, and what the grouped kernels need beside it.

typedef int16_t vs __attribute__((vector_size(64)));
typedef uint16_t vus __attribute__((vector_size(64)));

/// 16 bytes in each quarter of a vector.
INLINE vi vi_splat_16_bytes(const uint8_t *p) {
    vi4 v;
    __builtin_memcpy(&v, p, 16);
    return __builtin_shufflevector(v, v, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
}

/// Each byte of `index` (0...15) replaced by that byte of `table` (vi_splat_16_bytes).
INLINE vi vi_lookup_bytes(vi table, vi index) {
#if NT_LEVEL >= 2
    return (vi)_mm512_shuffle_epi8((__m512i)table, (__m512i)index);
#elif NT_LEVEL == 1
    return vi_from_halves(_mm256_shuffle_epi8(LOW_HALF(table), LOW_HALF(index)), _mm256_shuffle_epi8(LOW_HALF(table), HIGH_HALF(index)));
#else
    uint8_t values[64], at[64];
    __builtin_memcpy(values, &table, 64);
    __builtin_memcpy(at, &index, 64);
    for (int i = 0; i < 64; i++) at[i] = values[at[i] & 15];
    return vi_load(at);
#endif
}

/// The low nibble of each half-word of `index` (other bits do not count) replaced by that half-word of `table`, whose 16 values stand twice.
INLINE vi vi_lookup_words(vi table, vi index) {
#if NT_LEVEL >= 2
    return (vi)_mm512_permutexvar_epi16((__m512i)index, (__m512i)table);
#elif NT_LEVEL == 1
    const __m256i nibble = _mm256_set1_epi16(15), low = _mm256_set1_epi16(0x00ff);
    const __m256i lo = _mm256_castsi128_si256(_mm_packus_epi16(_mm_and_si128(_mm256_castsi256_si128(LOW_HALF(table)), _mm_set1_epi16(255)),
                                                               _mm_and_si128(_mm256_extracti128_si256(LOW_HALF(table), 1), _mm_set1_epi16(255))));
    const __m256i hi = _mm256_castsi128_si256(_mm_packus_epi16(_mm_srli_epi16(_mm256_castsi256_si128(LOW_HALF(table)), 8),
                                                               _mm_srli_epi16(_mm256_extracti128_si256(LOW_HALF(table), 1), 8)));
    const __m256i los = _mm256_permute2x128_si256(lo, lo, 0), his = _mm256_permute2x128_si256(hi, hi, 0);
    __m256i out[2];
    for (int i = 0; i < 2; i++) {
        __m256i at = _mm256_and_si256(i ? HIGH_HALF(index) : LOW_HALF(index), nibble);
        at = _mm256_or_si256(at, _mm256_slli_epi16(at, 8));
        out[i] = _mm256_or_si256(_mm256_and_si256(_mm256_shuffle_epi8(los, at), low), _mm256_andnot_si256(low, _mm256_shuffle_epi8(his, at)));
    }
    return vi_from_halves(out[0], out[1]);
#else
    uint16_t values[32], at[32];
    __builtin_memcpy(values, &table, 64);
    __builtin_memcpy(at, &index, 64);
    for (int i = 0; i < 32; i++) at[i] = values[at[i] & 15];
    return vi_load(at);
#endif
}

/// table[index], index 0...15.
INLINE vf vf_lookup(const float *table, vi index) {
#if NT_LEVEL >= 2
    return (vf)_mm512_permutexvar_ps((__m512i)index, (__m512)vf_load(table));
#else
    vf out;
    for (int i = 0; i < 16; i++) out[i] = table[index[i] & 15];
    return out;
#endif
}

/// a * b for numbers that fit 16 bits, a as i32.
INLINE vi vi_times_i16(vi a, vi b) {
#if NT_LEVEL >= 2
    return (vi)_mm512_dpwssd_epi32(_mm512_setzero_si512(), (__m512i)(a & 0xffff), (__m512i)b);
#else
    return a * b;
#endif
}

/// What added to an e4m3 magnitude i, shifted to its place in a bfloat16, gives the value's bits: entry i for i < 8, whose exponents are
/// those of subnormals, entry 8 for all others.
INLINE vi vi_e4m3_table(void) {
    const vus low = {0, 0x3b00 - 0x10, 0x3b80 - 0x20, 0x3bc0 - 0x30, 0x3c00 - 0x40, 0x3c20 - 0x50, 0x3c40 - 0x60, 0x3c60 - 0x70, 0x3c00};
    vi8 half = __builtin_shufflevector((vi)low, (vi)low, 0, 1, 2, 3, 4, 5, 6, 7);
    return __builtin_shufflevector(half, half, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7);
}
/// The even (j = 0) or odd (j = 1) bytes of v, e4m3, as bfloat16, exactly.
INLINE vi vi_bf16_from_e4m3(vi table, vi v, const int j) {
    vs bytes = j == 0 ? (vs)((vus)v << 8) : (vs)v, shifted = bytes >> 4 & (int16_t)0x87f0;
#if NT_LEVEL >= 2
    __m512i index = _mm512_min_epu8((__m512i)(v & 0x7f7f7f7f), _mm512_set1_epi8(8));
    if (j == 1) index = _mm512_srli_epi16(index, 8);
    return (vi)((vus)shifted + (vus)_mm512_permutexvar_epi16(index, (__m512i)table));
#elif NT_LEVEL == 1
    vi magnitudes = v & 0x7f7f7f7f;
    vi index = vi_from_halves(_mm256_min_epu8(LOW_HALF(magnitudes), _mm256_set1_epi8(8)), _mm256_min_epu8(HIGH_HALF(magnitudes), _mm256_set1_epi8(8)));
    return (vi)((vus)shifted + (vus)vi_lookup_words(table, j == 1 ? (vi)((vus)index >> 8) : index));
#else
    (void)table;
    vus magnitude = (vus)shifted & 0x7f0, sign = (vus)shifted & 0x8000, wide = magnitude + 0x3c00;
    vh parts[2];
    vf small[2];
    __builtin_memcpy(parts, &magnitude, 64);
    for (int i = 0; i < 2; i++) small[i] = vf_from_i(__builtin_convertvector(parts[i] >> 4, vi)) * vf_set(0x1p-9f);   // right below 8
    for (int i = 0; i < 2; i++) parts[i] = __builtin_convertvector((vu)small[i] >> 16, vh);
    vus narrow;
    __builtin_memcpy(&narrow, parts, 64);
    vus is_small = (vus)(magnitude < 0x80);
    return (vi)(sign | (is_small & narrow) | (~is_small & wide));
#endif
}
