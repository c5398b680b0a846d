#ifndef CREASE_TESTS_ARM64_CRITERION_H
#define CREASE_TESTS_ARM64_CRITERION_H

/* As much of Criterion as the unit tests use, for programs that run in an emulator. Criterion starts the
 * program anew for each test, which an emulated program cannot do; here each test is a fork. An assertion
 * that fails ends its test; a test that ends any other way than by returning has failed, too. */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct harness_test {
    const char *suite, *name; /* name NULL: `init` and `fini` go around each test of the suite */
    void (*run)(void), (*init)(void), (*fini)(void);
    double timeout; /* seconds; 0: none */
    struct harness_test *next;
} harness_test;

void harness_add(harness_test *test);
_Noreturn void harness_fail(const char *file, int line, const char *condition, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
_Noreturn void harness_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define HARNESS_ADD(id, ...)                                                                                 \
    __attribute__((constructor)) static void id##_add(void) {                                                \
        static harness_test test = {__VA_ARGS__};                                                            \
        harness_add(&test);                                                                                  \
    }
#define Test(s, n, ...)                                                                                      \
    static void s##_##n##_test(void);                                                                        \
    HARNESS_ADD(s##_##n, .suite = #s, .name = #n, .run = s##_##n##_test, __VA_ARGS__)                        \
    static void s##_##n##_test(void)
#define TestSuite(s, ...) HARNESS_ADD(s##_suite, .suite = #s, __VA_ARGS__) struct harness_test

/* The message may be missing: each format begins with a space. */
#define cr_assert(condition, ...)                                                                            \
    ((condition) ? (void)0 : harness_fail(__FILE__, __LINE__, #condition, " " __VA_ARGS__))
#define cr_assert_fail(...)   harness_fail(__FILE__, __LINE__, "reached", " " __VA_ARGS__)
#define cr_skip_test(...)     harness_skip(" " __VA_ARGS__)
#define cr_assert_not(a, ...) cr_assert(!(a), __VA_ARGS__)

#define cr_assert_eq(a, b, ...)  cr_assert((a) == (b), __VA_ARGS__)
#define cr_assert_neq(a, b, ...) cr_assert((a) != (b), __VA_ARGS__)
#define cr_assert_lt(a, b, ...)  cr_assert((a) < (b), __VA_ARGS__)
#define cr_assert_leq(a, b, ...) cr_assert((a) <= (b), __VA_ARGS__)
#define cr_assert_gt(a, b, ...)  cr_assert((a) > (b), __VA_ARGS__)
#define cr_assert_geq(a, b, ...) cr_assert((a) >= (b), __VA_ARGS__)

#define cr_assert_null(a, ...)             cr_assert((a) == NULL, __VA_ARGS__)
#define cr_assert_not_null(a, ...)         cr_assert((a) != NULL, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)        cr_assert(strcmp((a), (b)) == 0, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...)       cr_assert(strcmp((a), (b)) != 0, __VA_ARGS__)
#define cr_assert_str_empty(a, ...)        cr_assert((a)[0] == '\0', __VA_ARGS__)
#define cr_assert_arr_eq(a, b, size, ...)  cr_assert(memcmp((a), (b), (size)) == 0, __VA_ARGS__)
#define cr_assert_arr_neq(a, b, size, ...) cr_assert(memcmp((a), (b), (size)) != 0, __VA_ARGS__)
#define cr_assert_float_eq(a, b, epsilon, ...)                                                               \
    cr_assert((a) - (b) <= (epsilon) && (b) - (a) <= (epsilon), __VA_ARGS__)

#endif
