#include "runtime/kernels/narrow.h"

#include <criterion/criterion.h>
#include <math.h>

static const crease_dtype types[] = {
    CREASE_FLOAT8E4M3FN, CREASE_FLOAT8E4M3FNUZ, CREASE_FLOAT8E5M2, CREASE_FLOAT8E5M2FNUZ, CREASE_FLOAT8E8M0,
    CREASE_FLOAT4E2M1,   CREASE_UINT4,          CREASE_INT4,       CREASE_UINT2,          CREASE_INT2};
enum { TYPES = sizeof types / sizeof *types };

static double through(crease_dtype dtype, double value, bool saturate) {
    uint8_t byte = 0;
    cr_narrow_store(dtype, &byte, 0, value, saturate, CR_ROUND_NEAREST);
    return cr_narrow_load(dtype, &byte, 0);
}

Test(narrow, every_code_survives_loading_and_storing) {
    for (int t = 0; t < TYPES; t++)
        for (unsigned code = 0; code < 1U << crease_dtype_bits(types[t]); code++) {
            uint8_t byte = (uint8_t)code, back = 0;
            const double value = cr_narrow_load(types[t], &byte, 0);
            cr_narrow_store(types[t], &back, 0, value, false, CR_ROUND_NEAREST);
            if (isnan(value))
                cr_assert(isnan(cr_narrow_load(types[t], &back, 0)));
            else
                cr_assert_eq(back, byte, "%s: %#x became %#x", crease_dtype_name(types[t]), code, back);
        }
}

/* Between two neighbours everything goes to the nearer, the middle to the even code. */
Test(narrow, floats_are_rounded_to_nearest_even) {
    for (int t = 0; t < TYPES; t++) {
        const unsigned bits = (unsigned)crease_dtype_bits(types[t]);
        if (!(CR_T(types[t]) & ((cr_types)CR_T_FLOAT8 | CR_T(CREASE_FLOAT4E2M1))))
            continue;
        for (unsigned code = 0; code + 1 < 1U << (bits - 1); code++) {
            uint8_t low = (uint8_t)code, high = (uint8_t)(code + 1);
            const double a = cr_narrow_load(types[t], &low, 0), b = cr_narrow_load(types[t], &high, 0);
            if (!isfinite(a) || !isfinite(b))
                break;
            cr_assert_eq(through(types[t], (a + b) / 2, true), code % 2 ? b : a);
            cr_assert_eq(through(types[t], (a + b) / 2 * (1 - 1e-9), true), a);
            cr_assert_eq(through(types[t], -(a + b) / 2 * (1 + 1e-9), true), -b);
        }
    }
}

Test(narrow, what_is_too_large_saturates_or_not) {
    static const struct {
        crease_dtype dtype;
        double largest;
        bool has_infinity;
    } ends[] = {{CREASE_FLOAT8E4M3FN, 448, false},
                {CREASE_FLOAT8E4M3FNUZ, 240, false},
                {CREASE_FLOAT8E5M2, 57344, true},
                {CREASE_FLOAT8E5M2FNUZ, 57344, false}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        for (int sign = -1; sign <= 1; sign += 2)
            for (int infinite = 0; infinite < 2; infinite++) {
                const double x = sign * (infinite ? INFINITY : 1e6);
                cr_assert_eq(through(ends[i].dtype, x, true), sign * ends[i].largest);
                const double wild = through(ends[i].dtype, x, false);
                cr_assert(ends[i].has_infinity ? wild == sign * (double)INFINITY : isnan(wild));
            }
    cr_assert_eq(through(CREASE_FLOAT4E2M1, -1e6, false), -6);
    cr_assert_eq(through(CREASE_FLOAT8E8M0, 1e300, true), 0x1p127);
}

Test(narrow, elements_share_bytes_without_disturbing_each_other) {
    uint8_t bytes[2] = {0xff, 0xff};
    static const double values[] = {3, -8, 7, -1};
    for (int i = 0; i < 4; i++)
        cr_narrow_store(CREASE_INT4, bytes, i, values[i], false, CR_ROUND_UP);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(cr_narrow_load(CREASE_INT4, bytes, i), values[i]);
    cr_assert_eq(bytes[0], 0x83);
    cr_assert_eq(through(CREASE_UINT4, 17.9, false), 1); /* cut, then wrapped around */
    cr_assert_eq(through(CREASE_INT2, -2, false), -2);
}
