/// CPU kernels of Needletail: one operation a file, one table of function pointers chosen at start-up.
///
/// Rules that hold for every function here:
/// - no allocation, no threads, no global state but the table: a call works on the range it is given;
/// - pointers need only the alignment of their element type unless a comment says otherwise (64 bytes is fastest);
/// - batch invariance: at one ISA level an output row has the same bits whatever the number of rows in the call,
///   the row's place among them, and the ranges of n, heads or KV splits that the work was cut into.
#ifndef NT_CKERNELS_H
#define NT_CKERNELS_H

#include "nt_cpu.h"
#include "nt_types.h"
#include "nt_linear.h"
#include "nt_grouped.h"
#include "nt_quantize.h"
#include "nt_elementwise.h"
#include "nt_rope.h"
#include "nt_attention.h"
#include "nt_sampling.h"

#endif
