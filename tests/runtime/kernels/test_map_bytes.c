#include "runtime/kernels/map_bytes.h"

#include <criterion/criterion.h>

#include "runtime/base/cpu.h"
#include "tests/runtime/kernels/guard.h"

/* Every length around those of vectors, in place and not. */
static void check(cr_map_bytes_kernel *kernel, int64_t n) {
    uint8_t table[256], x[300], y[300], want[300];
    for (int i = 0; i < 256; i++)
        table[i] = (uint8_t)random_int(0, 255);
    for (int i = 0; i < 300; i++)
        x[i] = y[i] = want[i] = (uint8_t)random_int(0, 255);
    const int64_t at = random_int(0, 40);
    for (int64_t i = at; i < at + n; i++)
        want[i] = table[x[i]];
    kernel(table, x + at, y + at, n);
    cr_assert_arr_eq(y, want, sizeof y, "n %d at %d", (int)n, (int)at);
    kernel(table, x + at, x + at, n);
    cr_assert_arr_eq(x, want, sizeof x, "in place, n %d at %d", (int)n, (int)at);
}

Test(map_bytes, every_kernel_agrees_with_the_definition) {
    test_seed();
    for (int64_t n = 0; n <= 260; n++) {
        check(cr_map_bytes_plain, n);
#if defined __x86_64__ || defined __i386__
        if (cr_cpu_permutes_bytes())
            check(cr_map_bytes_avx512vbmi, n);
#endif
    }
}
