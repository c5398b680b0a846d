#include "runtime/base/dtype.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static bool is_nan_half(unsigned half) {
    return (half & 0x7c00) == 0x7c00 && (half & 0x3ff);
}

Test(dtype, every_half_survives_the_way_to_float_and_back) {
    for (unsigned half = 0; half < 0x10000; half++) {
        float wide = cr_half_to_float((uint16_t)half);
        if (is_nan_half(half))
            cr_assert(isnan(wide) && is_nan_half(cr_float_to_half(wide)));
        else
            cr_assert_eq(cr_float_to_half(wide), half, "%04x", half);
    }
}

Test(dtype, every_bfloat_survives_the_way_to_float_and_back) {
    for (unsigned b = 0; b < 0x10000; b++) {
        float wide = cr_bfloat_to_float((uint16_t)b);
        cr_assert(isnan(wide) ? isnan(cr_bfloat_to_float(cr_float_to_bfloat(wide)))
                              : cr_float_to_bfloat(wide) == b,
                  "%04x", b);
    }
}

/* Between two halves the nearer one is taken, at the middle the even one. */
Test(dtype, rounding_is_to_nearest_even) {
    for (unsigned half = 0; half < 0x7bff; half++) {
        const double low = (double)cr_half_to_float((uint16_t)half),
                     high = (double)cr_half_to_float((uint16_t)(half + 1));
        const double middle = (low + high) / 2;
        const unsigned even = half & 1 ? half + 1 : half;
        cr_assert_eq(cr_double_to_half(middle), even, "%04x", half);
        cr_assert_eq(cr_float_to_half((float)middle), even, "%04x", half);
        cr_assert_eq(cr_double_to_half(nextafter(middle, low)), half, "%04x", half);
        cr_assert_eq(cr_double_to_half(nextafter(middle, high)), half + 1, "%04x", half);
    }
}

Test(dtype, overflow_gives_infinity) {
    cr_assert_eq(cr_float_to_half(65520), 0x7c00);
    cr_assert_eq(cr_float_to_half(65519), 0x7bff);
    cr_assert_eq(cr_double_to_half(-1e300), 0xfc00);
    cr_assert_eq(cr_float_to_bfloat(3.4e38F), 0x7f80);
    cr_assert_eq(bits_of(cr_half_to_float(0x8000)), 0x80000000u, "the zero keeps its sign");
}

/* Floats around every half and bfloat, and at the middles between: patterns that end in few bits. */
Test(dtype, arrays_are_converted_like_single_values) {
    static const uint32_t ends[] = {0,      1,      0xfff,  0x1000, 0x1001, 0x1fff,
                                    0x2000, 0x7fff, 0x8000, 0x8001, 0xffff};
    enum { ENDS = sizeof ends / sizeof *ends };
    for (uint32_t high = 0; high < 0x10000; high++) {
        float wide[ENDS];
        uint16_t halves[ENDS], bfloats[ENDS];
        for (int i = 0; i < ENDS; i++) {
            const uint32_t bits = high << 16 | ends[i];
            memcpy(&wide[i], &bits, sizeof bits);
        }
        cr_floats_to_halves(CREASE_FLOAT16, wide, halves, ENDS);
        cr_floats_to_halves(CREASE_BFLOAT16, wide, bfloats, ENDS);
        for (int i = 0; i < ENDS; i++) {
            cr_assert_eq(halves[i], cr_float_to_half(wide[i]), "%04x%04x", high, ends[i]);
            cr_assert_eq(bfloats[i], cr_float_to_bfloat(wide[i]), "%04x%04x", high, ends[i]);
        }
        const uint16_t half = (uint16_t)high;
        cr_halves_to_floats(CREASE_FLOAT16, &half, wide, 1);
        cr_assert_eq(bits_of(wide[0]), bits_of(cr_half_to_float(half)), "%04x", high);
        cr_halves_to_floats(CREASE_BFLOAT16, &half, wide, 1);
        cr_assert_eq(bits_of(wide[0]), bits_of(cr_bfloat_to_float(half)), "%04x", high);
    }
}

Test(dtype, sizes) {
    size_t bytes = 7;
    cr_assert(cr_dtype_bytes(CREASE_FLOAT, 3, &bytes) && bytes == 12);
    cr_assert(cr_dtype_bytes(CREASE_INT4, 3, &bytes) && bytes == 2);
    cr_assert(cr_dtype_bytes(CREASE_UINT2, 5, &bytes) && bytes == 2);
    cr_assert(cr_dtype_bytes(CREASE_COMPLEX128, 0, &bytes) && bytes == 0);
    cr_assert_not(cr_dtype_bytes(CREASE_DOUBLE, INT64_MAX, &bytes));
    cr_assert_not(cr_dtype_bytes(CREASE_STRING, 1, &bytes));
    cr_assert_not(cr_dtype_bytes(CREASE_UNDEFINED, 1, &bytes));
}

Test(dtype, names_and_numbers) {
    for (int d = CREASE_FLOAT; d <= CREASE_INT2; d++) {
        cr_assert(cr_dtype_valid(d));
        cr_assert(crease_dtype_name((crease_dtype)d)[0]);
        cr_assert(crease_dtype_bits((crease_dtype)d) > 0 || d == CREASE_STRING);
    }
    cr_assert(!cr_dtype_valid(0) && !cr_dtype_valid(27) && !cr_dtype_valid(-1) && !cr_dtype_valid(INT64_MAX));
    cr_assert_not_null(crease_dtype_name((crease_dtype)1000));
    cr_assert_eq(crease_dtype_bits((crease_dtype)1000), 0);
}
