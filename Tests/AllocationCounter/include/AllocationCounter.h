#pragma once
#include <stdint.h>

/// Heap allocations made by this thread since it began, or -1 where the C library's allocator cannot be wrapped.
int64_t allocation_count(void);
