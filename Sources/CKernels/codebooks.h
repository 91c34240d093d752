/// The codebooks of the IQ types as bytes, unpacked once when the library is loaded from the tables in grids/.
#ifndef NT_CODEBOOKS_H
#define NT_CODEBOOKS_H

#include <stdint.h>

/// One entry holds 8 (4 in the IQ3 types) consecutive elements, first in the lowest byte.
struct nt_codebooks {
    uint64_t iq2_xxs[256], iq2_xs[512], iq2_s[1024];   ///< magnitudes, at most 43
    uint32_t iq3_xxs[256], iq3_s[512];                 ///< magnitudes, at most 62
    uint64_t iq1[2048];                                ///< 128 + 8 g for the grid's g of -1, 0, 1
    uint64_t signs[256];                               ///< byte i is 0x7f where bit i of the index is set, else 0
    uint64_t parity_signs[128];                        ///< signs of 7 bits and an eighth that makes their number even
};
extern struct nt_codebooks nt_codebooks;

void nt_codebooks_init(void);

#endif
