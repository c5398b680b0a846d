/* Holds the stand-in for Criterion to its word: of these seven tests two pass, one is skipped, four fail. */

#include <criterion/criterion.h>
#include <math.h>

static int steps;

static void step(void) {
    steps++;
}

TestSuite(around, .init = step, .fini = step);

Test(around, suite_and_test_begin, .init = step) {
    cr_assert_eq(steps, 2);
}

Test(ends, by_returning) {
    cr_assert_eq(steps, 0, "a test saw the steps of another");
}

Test(ends, by_being_skipped) {
    cr_skip_test("%s", "on purpose");
}

Test(ends, by_an_assertion) {
    cr_assert_float_eq(NAN, 1, 1e-6, "on %s", "purpose");
}

Test(ends, by_a_signal) {
    abort();
}

Test(ends, by_exit) {
    exit(0);
}

Test(ends, by_its_timeout, .timeout = 1) {
    for (volatile int i = 0;; i++)
        ;
}
