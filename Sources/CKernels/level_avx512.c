// Level avx512: all kernels compiled for avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c.
#if defined(__x86_64__)
#include <immintrin.h>
#define NT_LEVEL 2
#define NT_FILL nt_fill_avx512
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c"))), apply_to = function)
#include "body/all.h"
#pragma clang attribute pop
#endif
