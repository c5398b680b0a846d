/* permute_pair of channels_tmpl.h without an instruction for it. */
#include "runtime/kernels/vec_tmpl.h"

CR_INLINE cr_vec permute_pair(cr_vec a, cr_vec b, cr_ivec index) {
    cr_vec result;
    CR_UNROLL
    for (int l = 0; l < CR_LANES; l++)
        result[l] = index[l] < CR_LANES ? a[index[l]] : b[index[l] - CR_LANES];
    return result;
}
