#include "runtime/kernels/narrow.h"

#include <math.h>

/* A binary format: sign, exponent with a bias, fraction. */
typedef struct format {
    int fraction_bits, bias;
    uint8_t largest;  /* code of the largest finite number */
    uint8_t infinity; /* 0: there is none */
    uint8_t nan;      /* 0: there is none; 0x80: the one NaN, which stands in the place of -0 */
    int sign_bit;
} format;

static const format formats[] = {
    [CREASE_FLOAT8E4M3FN] = {3, 7, 0x7e, 0, 0x7f, 7},   [CREASE_FLOAT8E4M3FNUZ] = {3, 8, 0x7f, 0, 0x80, 7},
    [CREASE_FLOAT8E5M2] = {2, 15, 0x7b, 0x7c, 0x7e, 7}, [CREASE_FLOAT8E5M2FNUZ] = {2, 16, 0x7f, 0, 0x80, 7},
    [CREASE_FLOAT4E2M1] = {1, 1, 7, 0, 0, 3},
};

static double decode(const format *f, unsigned code) {
    const unsigned sign = code >> f->sign_bit & 1, magnitude = code & ((1U << f->sign_bit) - 1);
    if (f->nan == 0x80 && code == 0x80)
        return NAN;
    if (magnitude > f->largest)
        return f->infinity && magnitude == f->infinity ? (sign ? -INFINITY : INFINITY) : NAN;
    const int exponent = (int)(magnitude >> f->fraction_bits);
    const int fraction = (int)(magnitude & ((1U << f->fraction_bits) - 1));
    const int hidden = exponent ? 1 << f->fraction_bits : 0;
    const double value = ldexp(hidden + fraction, (exponent ? exponent : 1) - f->bias - f->fraction_bits);
    return sign ? -value : value;
}

/* Code of |x| rounded to nearest even, as if exponents had no end; 0x7fff: far too large. */
static unsigned encode_magnitude(const format *f, double x) {
    int exponent;
    const int lowest = 1 - f->bias;
    if (x == 0)
        return 0;
    if (isinf(x))
        return 0x7fff;
    frexp(x, &exponent);
    exponent = exponent - 1 < lowest ? lowest : exponent - 1;
    if (exponent > f->bias + 8)
        return 0x7fff;
    /* the hidden bit of a normal number adds one to the exponent field */
    return ((unsigned)(exponent - lowest) << f->fraction_bits) +
           (unsigned)nearbyint(ldexp(x, f->fraction_bits - exponent));
}

static uint8_t encode(const format *f, double value, bool saturate) {
    const unsigned sign = signbit(value) ? 1U << f->sign_bit : 0;
    if (isnan(value))
        return (uint8_t)(f->nan == 0x80 || !f->nan ? f->nan : sign | f->nan);
    unsigned code = encode_magnitude(f, fabs(value));
    if (code > f->largest)
        code = saturate || !f->nan ? f->largest : f->infinity ? f->infinity : f->nan;
    if (f->nan == 0x80 && (code == 0 || code == 0x80)) /* no -0, one NaN */
        return (uint8_t)code;
    return (uint8_t)(sign | code);
}

/* 2^(code - 127); 255 is NaN. */
static uint8_t encode_exponent(double value, bool saturate, cr_rounding rounding) {
    int exponent;
    if (isnan(value))
        return 255;
    if (isinf(value))
        return saturate ? 254 : 255;
    const double fraction = frexp(fabs(value), &exponent); /* [0.5, 1) */
    if (fraction == 0)
        return 0;
    exponent += 126;
    exponent += rounding == CR_ROUND_UP        ? fraction > 0.5
                : rounding == CR_ROUND_NEAREST ? fraction >= 0.75
                                               : 0;
    if (exponent > 254)
        return saturate ? 254 : 255;
    return (uint8_t)(exponent < 0 ? 0 : exponent);
}

static int64_t cut(double v) {
    return v != v ? 0 : v >= 0x1p63 ? INT64_MAX : v < -0x1p63 ? INT64_MIN : (int64_t)v;
}

/* ---- packing ---- */

static unsigned get_bits(const void *data, int64_t i, int bits) {
    const int64_t bit = i * bits;
    return (unsigned)(((const uint8_t *)data)[bit / 8] >> bit % 8) & ((1U << bits) - 1);
}

static void put_bits(void *data, int64_t i, int bits, unsigned value) {
    const int64_t bit = i * bits;
    uint8_t *byte = (uint8_t *)data + bit / 8;
    const unsigned mask = ((1U << bits) - 1) << bit % 8;
    *byte = (uint8_t)((*byte & ~mask) | (value << bit % 8 & mask));
}

static bool is_signed(crease_dtype dtype) {
    return dtype == CREASE_INT4 || dtype == CREASE_INT2;
}

double cr_narrow_load(crease_dtype dtype, const void *data, int64_t i) {
    const int bits = (int)crease_dtype_bits(dtype);
    const unsigned code = get_bits(data, i, bits);
    if (dtype == CREASE_FLOAT8E8M0)
        return code == 255 ? (double)NAN : ldexp(1, (int)code - 127);
    if (CR_T(dtype) & ((cr_types)CR_T_FLOAT8 | CR_T(CREASE_FLOAT4E2M1)))
        return decode(&formats[dtype], code);
    return is_signed(dtype) && code >> (bits - 1) ? (double)code - (double)(1U << bits) : (double)code;
}

void cr_narrow_store(crease_dtype dtype, void *data, int64_t i, double value, bool saturate,
                     cr_rounding rounding) {
    unsigned code;
    if (dtype == CREASE_FLOAT8E8M0)
        code = encode_exponent(value, saturate, rounding);
    else if (CR_T(dtype) & ((cr_types)CR_T_FLOAT8 | CR_T(CREASE_FLOAT4E2M1)))
        code = encode(&formats[dtype], value, saturate);
    else
        code = (unsigned)(uint64_t)cut(value);
    put_bits(data, i, (int)crease_dtype_bits(dtype), code);
}

double cr_number_load(crease_dtype dtype, const void *data, int64_t i) {
    switch (dtype) {
    case CREASE_INT8:
        return ((const int8_t *)data)[i];
    case CREASE_UINT8:
    case CREASE_BOOL:
        return ((const uint8_t *)data)[i];
    case CREASE_INT16:
        return ((const int16_t *)data)[i];
    case CREASE_UINT16:
        return ((const uint16_t *)data)[i];
    case CREASE_INT32:
        return ((const int32_t *)data)[i];
    case CREASE_UINT32:
        return ((const uint32_t *)data)[i];
    case CREASE_INT64:
        return (double)((const int64_t *)data)[i];
    case CREASE_UINT64:
        return (double)((const uint64_t *)data)[i];
    default:
        return cr_dtype_is_float(dtype) ? cr_load_float(dtype, data, i) : cr_narrow_load(dtype, data, i);
    }
}
