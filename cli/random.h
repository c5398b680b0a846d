#ifndef CREASE_CLI_RANDOM_H
#define CREASE_CLI_RANDOM_H

#include <stdint.h>

/* SplitMix64 (Steele, Lea and Flood 2014): the same numbers from the same seed on every machine. */
typedef struct random_state {
    uint64_t state;
} random_state;

/* A stream of its own for each (seed, stream). */
random_state random_start(uint64_t seed, uint64_t stream);
uint64_t random_bits(random_state *r);
double random_uniform(random_state *r); /* in (0, 1) */
double random_normal(random_state *r);  /* mean 0, deviation 1 (Box and Muller 1958) */

#endif
