#ifndef CREASE_RUNTIME_KERNELS_CONV_LANES_TMPL_H
#define CREASE_RUNTIME_KERNELS_CONV_LANES_TMPL_H

#include "runtime/kernels/vec_tmpl.h"

/* Steps of turning and adding up vectors among each other; w is a power of two below L, a constant. */

/* The lanes whose number is without bit w. */
CR_INLINE cr_mask cr_lanes_without(int w) {
    cr_mask mask = {0};
    CR_UNROLL
    for (int l = 0; l < CR_LANES; l++)
#if CR_LANES == 16
        mask |= (cr_mask)((l & w) == 0) << l;
#else
        mask[l] = (l & w) == 0 ? -1 : 0;
#endif
    return mask;
}

/* Lane l is lane l ^ w of v. */
CR_INLINE cr_vec cr_lanes_swapped(cr_vec v, int w) {
    cr_ivec index = {0};
    CR_UNROLL
    for (int l = 0; l < CR_LANES; l++)
        index[l] = l ^ w;
    return cr_permute(v, index);
}

#endif
