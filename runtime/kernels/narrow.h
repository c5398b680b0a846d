#ifndef CREASE_RUNTIME_KERNELS_NARROW_H
#define CREASE_RUNTIME_KERNELS_NARROW_H

#include "runtime/base/dtype.h"

/* Element types of eight bits and less that no processor computes in: float8, float4e2m1, and integers of
 * four and two bits, packed with the first element in the lowest bits. */

enum {
    CR_T_FLOAT8 = CR_T(CREASE_FLOAT8E4M3FN) | CR_T(CREASE_FLOAT8E4M3FNUZ) | CR_T(CREASE_FLOAT8E5M2) |
                  CR_T(CREASE_FLOAT8E5M2FNUZ),
    CR_T_NARROW = CR_T_FLOAT8 | CR_T(CREASE_FLOAT8E8M0) | CR_T(CREASE_FLOAT4E2M1) | CR_T(CREASE_UINT4) |
                  CR_T(CREASE_INT4) | CR_T(CREASE_UINT2) | CR_T(CREASE_INT2)
};

typedef enum cr_rounding { CR_ROUND_UP, CR_ROUND_DOWN, CR_ROUND_NEAREST } cr_rounding;

/* Element i as a number. */
double cr_narrow_load(crease_dtype dtype, const void *data, int64_t i);

/* Element i from a number. float8: rounded to nearest even; what is too large becomes the largest number of
 * its sign if `saturate`, else infinity or, where there is none, NaN. float8e8m0 keeps the exponent alone,
 * rounded as `rounding` says (toward zero where that fails and not `saturate`: NaN). float4e2m1 always
 * saturates. Integers are cut toward zero and wrap around. NaN stays NaN where there is one, and is 0
 * otherwise. */
void cr_narrow_store(crease_dtype dtype, void *data, int64_t i, double value, bool saturate,
                     cr_rounding rounding);

/* Any number type or bool. */
double cr_number_load(crease_dtype dtype, const void *data, int64_t i);

#endif
