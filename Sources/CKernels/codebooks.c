// Unpacks the codebooks. 0.05 ms at load.
#include "codebooks.h"

static const uint16_t iq2_xxs[] = {
#include "grids/iq2_xxs.h"
};
static const uint16_t iq2_xs[] = {
#include "grids/iq2_xs.h"
};
static const uint16_t iq2_s[] = {
#include "grids/iq2_s.h"
};
static const uint16_t iq3_xxs[] = {
#include "grids/iq3_xxs.h"
};
static const uint16_t iq3_s[] = {
#include "grids/iq3_s.h"
};
static const uint16_t iq1[] = {
#include "grids/iq1.h"
};

struct nt_codebooks nt_codebooks;

/// Bytes `values[code]` of the packed codes of one entry.
static uint64_t unpack(unsigned packed, int count, int bits, const uint8_t *values) {
    uint64_t entry = 0;
    for (int i = 0; i < count; i++) entry |= (uint64_t)values[packed >> (bits * i) & ((1u << bits) - 1)] << (8 * i);
    return entry;
}

void nt_codebooks_init(void) {
    static const uint8_t two[4] = {8, 25, 43}, one[4] = {120, 128, 136};
    static const uint8_t three_xxs[8] = {4, 12, 20, 28, 36, 44, 52, 62}, three_s[8] = {1, 3, 5, 7, 9, 11, 13, 15};
    struct nt_codebooks *c = &nt_codebooks;
    for (int i = 0; i < 256; i++) c->iq2_xxs[i] = unpack(iq2_xxs[i], 8, 2, two);
    for (int i = 0; i < 512; i++) c->iq2_xs[i] = unpack(iq2_xs[i], 8, 2, two);
    for (int i = 0; i < 1024; i++) c->iq2_s[i] = unpack(iq2_s[i], 8, 2, two);
    for (int i = 0; i < 256; i++) c->iq3_xxs[i] = (uint32_t)unpack(iq3_xxs[i], 4, 3, three_xxs);
    for (int i = 0; i < 512; i++) c->iq3_s[i] = (uint32_t)unpack(iq3_s[i], 4, 3, three_s);
    for (int i = 0; i < 2048; i++) c->iq1[i] = unpack(iq1[i], 8, 2, one);
    for (unsigned i = 0; i < 256; i++) {
        c->signs[i] = 0;
        for (int j = 0; j < 8; j++) c->signs[i] |= (uint64_t)(i >> j & 1 ? 0x7f : 0) << (8 * j);
    }
    for (unsigned i = 0; i < 128; i++) c->parity_signs[i] = c->signs[i | (unsigned)__builtin_parity(i) << 7];
}
