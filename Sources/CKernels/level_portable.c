// Portable level: the same 16-lane source, lowered to what the base architecture has (SSE2, NEON).
#define NT_LEVEL 0
#define NT_FILL nt_fill_portable
#include "body/all.h"
