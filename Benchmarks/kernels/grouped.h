#ifndef GROUPED_BENCH_H
#define GROUPED_BENCH_H

#include "CKernels.h"

/// - only: a word that a line's name has to contain, or NULL.
void bench_grouped(const char *only);

#endif
