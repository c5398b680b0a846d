#ifndef CREASE_RUNTIME_KERNELS_CONV_ALGORITHMS_H
#define CREASE_RUNTIME_KERNELS_CONV_ALGORITHMS_H

#include "runtime/base/cpu.h"
#include "runtime/kernels/conv/conv.h"

/* Lanes of the blocked layout that the kernels of an instruction set work on; 0: they have only the plain
 * layout. */
int cr_conv_lanes(cr_isa isa);

/* The algorithms that this build has for an instruction set, in order of preference between equal costs,
 * ended by NULL. The last is the reference, which accepts everything. */
const cr_conv_algorithm *const *cr_conv_algorithms(cr_isa isa);

/* The names of the algorithms on the blocked layout that any processor has, ended by NULL: what a name means
 * does not depend on the one at hand. */
const char *const *cr_conv_blocked_names(void);

/* By name; NULL if the list has none of that name. */
const cr_conv_algorithm *cr_conv_find(const cr_conv_algorithm *const *list, const char *name);

/* The cheapest that accepts, conv->byte_cost for its packed weights included; `forced` (a name, or NULL)
 * comes before it wherever it accepts. Never NULL for a list that ends in the reference. */
const cr_conv_algorithm *cr_conv_choose(const cr_conv_algorithm *const *list, const cr_conv *conv,
                                        const char *forced);

#endif
