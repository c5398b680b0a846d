#include "runtime/base/dtype.h"

#include <string.h>

static const struct {
    const char *name;
    uint8_t bits;
} dtypes[] = {
    [CREASE_UNDEFINED] = {"undefined", 0},
    [CREASE_FLOAT] = {"float32", 32},
    [CREASE_UINT8] = {"uint8", 8},
    [CREASE_INT8] = {"int8", 8},
    [CREASE_UINT16] = {"uint16", 16},
    [CREASE_INT16] = {"int16", 16},
    [CREASE_INT32] = {"int32", 32},
    [CREASE_INT64] = {"int64", 64},
    [CREASE_STRING] = {"string", 0},
    [CREASE_BOOL] = {"bool", 8},
    [CREASE_FLOAT16] = {"float16", 16},
    [CREASE_DOUBLE] = {"float64", 64},
    [CREASE_UINT32] = {"uint32", 32},
    [CREASE_UINT64] = {"uint64", 64},
    [CREASE_COMPLEX64] = {"complex64", 64},
    [CREASE_COMPLEX128] = {"complex128", 128},
    [CREASE_BFLOAT16] = {"bfloat16", 16},
    [CREASE_FLOAT8E4M3FN] = {"float8e4m3fn", 8},
    [CREASE_FLOAT8E4M3FNUZ] = {"float8e4m3fnuz", 8},
    [CREASE_FLOAT8E5M2] = {"float8e5m2", 8},
    [CREASE_FLOAT8E5M2FNUZ] = {"float8e5m2fnuz", 8},
    [CREASE_UINT4] = {"uint4", 4},
    [CREASE_INT4] = {"int4", 4},
    [CREASE_FLOAT4E2M1] = {"float4e2m1", 4},
    [CREASE_FLOAT8E8M0] = {"float8e8m0", 8},
    [CREASE_UINT2] = {"uint2", 2},
    [CREASE_INT2] = {"int2", 2},
};

bool cr_dtype_valid(int64_t dtype) {
    return dtype > CREASE_UNDEFINED && dtype <= CREASE_INT2;
}

const char *crease_dtype_name(crease_dtype dtype) {
    return cr_dtype_valid((int64_t)dtype) ? dtypes[dtype].name : "undefined";
}

size_t crease_dtype_bits(crease_dtype dtype) {
    return cr_dtype_valid((int64_t)dtype) ? dtypes[dtype].bits : 0;
}

bool cr_dtype_is_half(crease_dtype dtype) {
    return dtype == CREASE_FLOAT16 || dtype == CREASE_BFLOAT16;
}

double cr_dtype_unit(crease_dtype dtype) {
    return dtype == CREASE_DOUBLE     ? 0x1p-53
           : dtype == CREASE_FLOAT16  ? 0x1p-11
           : dtype == CREASE_BFLOAT16 ? 0x1p-8
                                      : 0x1p-24;
}

bool cr_dtype_is_float(crease_dtype dtype) {
    return dtype == CREASE_FLOAT || dtype == CREASE_DOUBLE || cr_dtype_is_half(dtype);
}

size_t cr_element_bytes(crease_dtype dtype) {
    return crease_dtype_bits(dtype) / 8;
}

bool cr_dtype_bytes(crease_dtype dtype, int64_t n, size_t *bytes) {
    size_t bits = crease_dtype_bits(dtype);
    if (!bits || n < 0 || (uint64_t)n > (SIZE_MAX - 7) / bits)
        return false;
    *bytes = ((size_t)n * bits + 7) / 8;
    return true;
}

static float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t bits_of_double(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

float cr_half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 0x3ff;
    if (exponent == 31)
        return float_of_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent)
        return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float magnitude = (float)fraction * 0x1p-24f;
    return sign ? -magnitude : magnitude;
}

/* Round a double to a small binary format with `e` exponent and `f` fraction bits: nearest, ties to even. */
static uint16_t round_to(double value, int e, int f) {
    uint64_t bits = bits_of_double(value);
    uint32_t sign = (uint32_t)(bits >> 63) << (e + f), infinity = (((uint32_t)1 << e) - 1) << f;
    int exponent = (int)(bits >> 52 & 2047) - 1023;
    uint64_t fraction = bits & (((uint64_t)1 << 52) - 1);
    if (exponent == 1024)
        return (uint16_t)(sign | infinity | (fraction ? (uint32_t)1 << (f - 1) : 0));
    int bias = (1 << (e - 1)) - 1, lowest = 1 - bias;
    if (exponent < lowest - f - 1)
        return (uint16_t)sign;
    uint64_t significand = fraction | (uint64_t)1 << 52;
    int drop = 52 - f + (exponent < lowest ? lowest - exponent : 0);
    uint64_t kept = significand >> drop, rest = significand & (((uint64_t)1 << drop) - 1);
    uint64_t half = (uint64_t)1 << (drop - 1);
    kept += rest > half || (rest == half && (kept & 1));
    /* kept carries the hidden bit for normal numbers: adding it to the exponent field carries over correctly
     */
    uint64_t biased = exponent < lowest ? 0 : (uint64_t)(exponent + bias - 1);
    uint64_t code = (biased << f) + kept;
    return (uint16_t)(sign | (code >= infinity ? infinity : (uint32_t)code));
}

uint16_t cr_double_to_half(double value) {
    return round_to(value, 5, 10);
}

uint16_t cr_double_to_bfloat(double value) {
    return round_to(value, 8, 7);
}

uint16_t cr_float_to_half(float value) {
    return round_to((double)value, 5, 10);
}

uint16_t cr_float_to_bfloat(float value) {
    return round_to((double)value, 8, 7);
}

float cr_bfloat_to_float(uint16_t value) {
    return float_of_bits((uint32_t)value << 16);
}

double cr_load_float(crease_dtype dtype, const void *data, int64_t i) {
    switch (dtype) {
    case CREASE_DOUBLE:
        return ((const double *)data)[i];
    case CREASE_FLOAT16:
        return (double)cr_half_to_float(((const uint16_t *)data)[i]);
    case CREASE_BFLOAT16:
        return (double)cr_bfloat_to_float(((const uint16_t *)data)[i]);
    default:
        return (double)((const float *)data)[i];
    }
}

void cr_store_float(crease_dtype dtype, void *data, int64_t i, double value) {
    switch (dtype) {
    case CREASE_DOUBLE:
        ((double *)data)[i] = value;
        break;
    case CREASE_FLOAT16:
        ((uint16_t *)data)[i] = cr_double_to_half(value);
        break;
    case CREASE_BFLOAT16:
        ((uint16_t *)data)[i] = cr_double_to_bfloat(value);
        break;
    default:
        ((float *)data)[i] = (float)value;
    }
}

/* The conversions of arrays choose without branches and compute on integers of 32 bits, so that compilers
 * make vector code of their loops. */

static uint32_t bits_of_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Subnormal halves: as fractions above 2^-14, which is subtracted again. */
static float widen_half(uint16_t half) {
    const uint32_t shifted = (uint32_t)(half & 0x7fff) << 13, smallest = 113u << 23;
    const uint32_t subnormal = bits_of_float(float_of_bits(shifted + smallest) - float_of_bits(smallest));
    const uint32_t normal = shifted + (112u << 23);
    const uint32_t special = shifted | 255u << 23;
    const uint32_t finite = shifted < 1u << 23 ? subnormal : normal;
    return float_of_bits((shifted < 31u << 23 ? finite : special) | (uint32_t)(half & 0x8000) << 16);
}

/* Adding 0.5, whose last place is the smallest half's, rounds what becomes subnormal. */
static uint16_t narrow_half(float value) {
    const uint32_t bits = bits_of_float(value), size = bits & 0x7fffffff;
    const uint32_t subnormal = bits_of_float(float_of_bits(size) + 0.5f) - (126u << 23);
    const uint32_t normal = (size - (112u << 23) + 0xfff + (size >> 13 & 1)) >> 13;
    const uint32_t finite = size < 113u << 23 ? subnormal : normal;
    const uint32_t special = size > 255u << 23 ? 0x7e00 : 0x7c00;
    return (uint16_t)((size < 143u << 23 ? finite : special) | (bits >> 16 & 0x8000));
}

static uint16_t narrow_bfloat(float value) {
    const uint32_t bits = bits_of_float(value), size = bits & 0x7fffffff;
    const uint32_t rounded = (size + 0x7fff + (size >> 16 & 1)) >> 16;
    return (uint16_t)((size > 255u << 23 ? 0x7fc0 : rounded) | (bits >> 16 & 0x8000));
}

void cr_halves_to_floats(crease_dtype dtype, const uint16_t *restrict from, float *restrict to, int64_t n) {
    if (dtype == CREASE_FLOAT16)
        for (int64_t i = 0; i < n; i++)
            to[i] = widen_half(from[i]);
    else
        for (int64_t i = 0; i < n; i++)
            to[i] = cr_bfloat_to_float(from[i]);
}

void cr_floats_to_halves(crease_dtype dtype, const float *restrict from, uint16_t *restrict to, int64_t n) {
    if (dtype == CREASE_FLOAT16)
        for (int64_t i = 0; i < n; i++)
            to[i] = narrow_half(from[i]);
    else
        for (int64_t i = 0; i < n; i++)
            to[i] = narrow_bfloat(from[i]);
}
