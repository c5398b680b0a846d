#include "cli/tensor.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tensor_free(tensor *t) {
    free(t->name);
    free(t->data);
    *t = (tensor){0};
}

crease_tensor tensor_view(const tensor *t) {
    return (crease_tensor){sizeof(crease_tensor), t->name, t->dtype, t->rank, t->dims, t->data, t->bytes};
}

bool tensor_count(int rank, const int64_t *dims, int64_t *n) {
    *n = 1;
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0 || __builtin_mul_overflow(*n, dims[i], n))
            return false;
    return true;
}

bool tensor_bytes(crease_dtype dtype, int rank, const int64_t *dims, size_t *bytes) {
    int64_t n;
    size_t bits = crease_dtype_bits(dtype);
    if (!bits || !tensor_count(rank, dims, &n) || (uint64_t)n > (SIZE_MAX - 7) / bits)
        return false;
    *bytes = ((size_t)n * bits + 7) / 8;
    return true;
}

/* ---- elements ---- */

bool tensor_is_float(crease_dtype dtype) {
    return dtype == CREASE_FLOAT || dtype == CREASE_DOUBLE || dtype == CREASE_FLOAT16 ||
           dtype == CREASE_BFLOAT16;
}

bool tensor_is_number(crease_dtype dtype) {
    switch (dtype) {
    case CREASE_UINT8:
    case CREASE_INT8:
    case CREASE_UINT16:
    case CREASE_INT16:
    case CREASE_INT32:
    case CREASE_INT64:
    case CREASE_BOOL:
    case CREASE_UINT32:
    case CREASE_UINT64:
        return true;
    default:
        return tensor_is_float(dtype);
    }
}

/* Binary floating point of 16 bits with f fraction bits and exponents from `lowest` (IEEE 754-2019,
 * section 3.4). */
static double from_small(uint16_t code, int f, int lowest) {
    int exponent = (code & 0x7fff) >> f, fraction = code & ((1 << f) - 1), all = 0x7fff >> f;
    double value = exponent == all ? (fraction ? NAN : INFINITY)
                   : exponent      ? ldexp(fraction + (1 << f), exponent - 1 + lowest - f)
                                   : ldexp(fraction, lowest - f);
    return code & 0x8000 ? -value : value;
}

static uint16_t to_small(double value, int f, int lowest) {
    uint16_t sign = signbit(value) ? 0x8000 : 0, infinity = (uint16_t)(0x7fff >> f << f);
    if (isnan(value))
        return (uint16_t)(infinity | 1u << (f - 1));
    if (value == 0 || isinf(value))
        return sign | (value == 0 ? 0 : infinity);
    int exponent;
    frexp(value, &exponent);
    exponent = exponent - 1 < lowest ? lowest : exponent - 1;
    /* the hidden bit of a normal number, and a carry out of the fraction, add one to the exponent field */
    double units = nearbyint(ldexp(fabs(value), f - exponent)) + ldexp(exponent - lowest, f);
    return sign | (units < infinity ? (uint16_t)units : infinity);
}

enum { HALF_FRACTION = 10, HALF_LOWEST = -14, BFLOAT_FRACTION = 7, BFLOAT_LOWEST = -126 };

double tensor_get(crease_dtype dtype, const void *data, int64_t i) {
    switch (dtype) {
    case CREASE_FLOAT:
        return (double)((const float *)data)[i];
    case CREASE_DOUBLE:
        return ((const double *)data)[i];
    case CREASE_FLOAT16:
        return from_small(((const uint16_t *)data)[i], HALF_FRACTION, HALF_LOWEST);
    case CREASE_BFLOAT16:
        return from_small(((const uint16_t *)data)[i], BFLOAT_FRACTION, BFLOAT_LOWEST);
    case CREASE_UINT8:
    case CREASE_BOOL:
        return ((const uint8_t *)data)[i];
    case CREASE_INT8:
        return ((const int8_t *)data)[i];
    case CREASE_UINT16:
        return ((const uint16_t *)data)[i];
    case CREASE_INT16:
        return ((const int16_t *)data)[i];
    case CREASE_INT32:
        return ((const int32_t *)data)[i];
    case CREASE_UINT32:
        return ((const uint32_t *)data)[i];
    case CREASE_INT64:
        return (double)((const int64_t *)data)[i];
    case CREASE_UINT64:
        return (double)((const uint64_t *)data)[i];
    default:
        return NAN;
    }
}

/* Whole numbers of `bits` bits; 64-bit types hold 63 bits here, which is more than a double can tell apart.
 */
static int64_t to_integer(double value, int bits, bool is_signed) {
    double top = ldexp(1, bits == 64  ? 62
                          : is_signed ? bits - 1
                                      : bits) -
                 1,
           bottom = is_signed ? -top - 1 : 0;
    value = nearbyint(value);
    return (int64_t)(value > top ? top : value > bottom ? value : bottom);
}

void tensor_set(crease_dtype dtype, void *data, int64_t i, double value) {
    bool is_signed =
        dtype == CREASE_INT8 || dtype == CREASE_INT16 || dtype == CREASE_INT32 || dtype == CREASE_INT64;
    size_t bits = crease_dtype_bits(dtype);
    switch (dtype) {
    case CREASE_FLOAT:
        ((float *)data)[i] = (float)value;
        return;
    case CREASE_DOUBLE:
        ((double *)data)[i] = value;
        return;
    case CREASE_FLOAT16:
        ((uint16_t *)data)[i] = to_small(value, HALF_FRACTION, HALF_LOWEST);
        return;
    case CREASE_BFLOAT16:
        ((uint16_t *)data)[i] = to_small(value, BFLOAT_FRACTION, BFLOAT_LOWEST);
        return;
    case CREASE_BOOL:
        ((uint8_t *)data)[i] = value != 0;
        return;
    default:
        break;
    }
    int64_t integer = to_integer(value, (int)bits, is_signed);
    memcpy((char *)data + (size_t)i * bits / 8, &integer,
           bits / 8); /* little-endian: the low bytes come first */
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian, and so is this program");

/* ---- text ---- */

const char *tensor_shape_text(int rank, const int64_t *dims, const char *const *names, char *text) {
    size_t at = 0;
    if (rank <= 0)
        return strcpy(text, rank ? "unknown" : "scalar");
    text[0] = 0;
    for (int i = 0; i < rank && i < TENSOR_MAX_RANK; i++) {
        const char *times = i ? "x" : "";
        int n = dims[i] >= 0        ? snprintf(text + at, 24, "%s%" PRId64, times, dims[i])
                : names && names[i] ? snprintf(text + at, 24, "%s%.22s", times, names[i])
                                    : snprintf(text + at, 24, "%s?", times);
        at += (size_t)n < 24 ? (size_t)n : 23;
    }
    return text;
}
