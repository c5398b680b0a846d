#ifndef CREASE_TESTS_PASSES_GENERATED_CHECK_H
#define CREASE_TESTS_PASSES_GENERATED_CHECK_H

#include "tests/passes/generated/network.h"

typedef struct tally {
    int graphs, folded, kept;
    double worst;            /* largest difference in parts of its bound */
    const char *reasons[64]; /* constant strings: those given, each once */
    int n_reasons;
} tally;

/* Fold the network and require: every affine became what was expected and every BatchNormalization has an
 * entry; the folded network passes the verifier, is saved, loaded and run, and its outputs lie within the
 * bound around the unfolded network's; folding it again changes no byte. Releases the network. */
void net_check(network *n, tally *t);

#endif
