#ifndef CREASE_RUNTIME_BASE_DTYPE_H
#define CREASE_RUNTIME_BASE_DTYPE_H

#include "include/crease/crease.h"

/* Element types as a set, for operator rows. */
typedef uint32_t cr_types;
#define CR_T(dtype) ((cr_types)1 << (dtype))
enum {
    CR_T_FLOATS = CR_T(CREASE_FLOAT) | CR_T(CREASE_DOUBLE) | CR_T(CREASE_FLOAT16) | CR_T(CREASE_BFLOAT16),
    CR_T_SIGNED = CR_T(CREASE_INT8) | CR_T(CREASE_INT16) | CR_T(CREASE_INT32) | CR_T(CREASE_INT64),
    CR_T_UNSIGNED = CR_T(CREASE_UINT8) | CR_T(CREASE_UINT16) | CR_T(CREASE_UINT32) | CR_T(CREASE_UINT64),
    CR_T_INTS = CR_T_SIGNED | CR_T_UNSIGNED,
    CR_T_BOOL = CR_T(CREASE_BOOL),
    CR_T_NUMBERS = CR_T_FLOATS | CR_T_INTS,
    /* every type whose elements are whole bytes: what data movement can carry */
    CR_T_BYTES = CR_T_NUMBERS | CR_T_BOOL | CR_T(CREASE_COMPLEX64) | CR_T(CREASE_COMPLEX128) |
                 CR_T(CREASE_FLOAT8E4M3FN) | CR_T(CREASE_FLOAT8E4M3FNUZ) | CR_T(CREASE_FLOAT8E5M2) |
                 CR_T(CREASE_FLOAT8E5M2FNUZ) | CR_T(CREASE_FLOAT8E8M0),
};

bool cr_dtype_valid(int64_t dtype);         /* a number ONNX defines, UNDEFINED excluded */
bool cr_dtype_is_half(crease_dtype dtype);  /* float16 or bfloat16 */
bool cr_dtype_is_float(crease_dtype dtype); /* float16, bfloat16, float32, float64 */
/* Largest relative error of one rounding to nearest in such a type, as long as the result is a normal number;
 * of all others, as of float32. */
double cr_dtype_unit(crease_dtype dtype);

/* Bytes of one element of a type of CR_T_BYTES. */
size_t cr_element_bytes(crease_dtype dtype);
/* Bytes of n elements, rounded up for packed types; false on overflow or a type without a size. n >= 0. */
bool cr_dtype_bytes(crease_dtype dtype, int64_t n, size_t *bytes);

/* IEEE 754 binary16 and bfloat16, round to nearest even; NaN stays NaN, overflow gives infinity. */
float cr_half_to_float(uint16_t half);
uint16_t cr_float_to_half(float value);
uint16_t cr_double_to_half(double value); /* one rounding */
float cr_bfloat_to_float(uint16_t value);
uint16_t cr_float_to_bfloat(float value);
uint16_t cr_double_to_bfloat(double value); /* one rounding */

/* Element i of an array of a float type, widened or rounded once. */
double cr_load_float(crease_dtype dtype, const void *data, int64_t i);
void cr_store_float(crease_dtype dtype, void *data, int64_t i, double value);

/* n elements between float32 and float16 or bfloat16; no aliasing. */
void cr_halves_to_floats(crease_dtype dtype, const uint16_t *from, float *to, int64_t n);
void cr_floats_to_halves(crease_dtype dtype, const float *from, uint16_t *to, int64_t n);

#endif
