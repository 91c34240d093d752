// Level avx2: all kernels compiled for avx2,fma,f16c.
#if defined(__x86_64__)
#include <immintrin.h>
#define NT_LEVEL 1
#define NT_FILL nt_fill_avx2
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "body/all.h"
#pragma clang attribute pop
#endif
