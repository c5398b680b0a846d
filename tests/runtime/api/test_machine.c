#include "include/crease/crease.h"

#include <criterion/criterion.h>
#include <math.h>

Test(machine, measures_what_is_asked_for) {
    crease_machine m = {.struct_size = sizeof m};
    cr_assert_eq(crease_measure_machine(1, 0, &m), CREASE_OK, "%s", crease_error_message());
    cr_assert(isfinite(m.gflops) && m.gflops > 0);
    cr_assert_float_eq(m.gb_per_second, 0, 0, "no block was given");
    cr_assert_eq(crease_measure_machine(2, 1 << 16, &m), CREASE_OK, "%s", crease_error_message());
    cr_assert(isfinite(m.gflops) && m.gflops > 0);
    cr_assert(isfinite(m.gb_per_second) && m.gb_per_second > 0);
}

Test(machine, refuses_bad_arguments) {
    crease_machine m = {.struct_size = sizeof m};
    cr_assert_eq(crease_measure_machine(1, 0, NULL), CREASE_ERROR_ARGUMENT);
    cr_assert_eq(crease_measure_machine(-1, 0, &m), CREASE_ERROR_ARGUMENT);
}
