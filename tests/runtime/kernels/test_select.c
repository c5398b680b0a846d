#include "runtime/kernels/gather.h"
#include "runtime/kernels/scan.h"
#include "runtime/kernels/select.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 20240609 };

static const float *compared;

static int best_first(const void *a, const void *b) {
    int64_t i = *(const int64_t *)a, j = *(const int64_t *)b;
    if (compared[i] != compared[j])
        return compared[i] < compared[j] ? 1 : -1;
    return i < j ? -1 : i > j;
}

Test(select, the_best_are_those_of_a_full_sort) {
    srand(SEED);
    for (int round = 0; round < 200; round++) {
        float x[90], values[90];
        int64_t order[90], indices[90], n = 1 + rand() % 90, k = rand() % (n + 1);
        cr_candidate workspace[90];
        for (int64_t i = 0; i < n; i++) {
            x[i] = (float)(rand() % 20 - 10) / 4; /* with ties */
            order[i] = i;
        }
        compared = x;
        qsort(order, (size_t)n, sizeof *order, best_first);
        cr_top_k(CREASE_FLOAT, true, x, values, indices, n, k, 1, workspace, 0, 1);
        for (int64_t i = 0; i < k; i++)
            cr_assert(indices[i] == order[i] && values[i] == x[order[i]], "seed %d round %d", SEED, round);
    }
}

Test(select, floats_are_ordered_like_doubles) {
    static const float special[] = {NAN, -NAN, INFINITY, -INFINITY, 0.0F, -0.0F, 1e-45F, -1e-45F};
    srand(SEED);
    for (int round = 0; round < 200; round++) {
        float x[180];
        double wide[180];
        int64_t narrow_at[180], wide_at[180], n = 1 + rand() % 60, k = rand() % (n + 1),
                                              inner = 1 + rand() % 3;
        cr_candidate workspace[90];
        for (int64_t i = 0; i < n * inner; i++)
            wide[i] = x[i] = rand() % 4 ? (float)(rand() % 2000 - 1000) / 4 : special[rand() % 8];
        cr_top_k(CREASE_FLOAT, round & 1, x, NULL, narrow_at, n, k, inner, workspace, 0, inner);
        cr_top_k(CREASE_DOUBLE, round & 1, wide, NULL, wide_at, n, k, inner, workspace, 0, inner);
        for (int64_t i = 0; i < k * inner; i++)
            cr_assert_eq(narrow_at[i], wide_at[i], "seed %d round %d", SEED, round);
    }
}

Test(select, order_of_special_values) {
    const float x[] = {-0.0f, NAN, 0.0f, -INFINITY, INFINITY};
    int64_t indices[5];
    cr_candidate workspace[5];
    cr_top_k(CREASE_FLOAT, true, x, NULL, indices, 5, 5, 1, workspace, 0, 1);
    cr_assert(memcmp(indices, (int64_t[]){1, 4, 0, 2, 3}, sizeof indices) == 0);
    const int64_t y[] = {INT64_MIN, 5, INT64_MAX, -1};
    cr_top_k(CREASE_INT64, false, y, NULL, indices, 4, 4, 1, workspace, 0, 1);
    cr_assert(memcmp(indices, (int64_t[]){0, 3, 1, 2}, 4 * sizeof *indices) == 0);
    cr_assert_eq(cr_count_nonzero(CREASE_FLOAT, x, 5), 3, "NaN and the infinities");
}

Test(select, running_sums) {
    const int32_t x[] = {1, 2, 3, 4, 5, 6};
    int32_t y[6];
    cr_cumulative_sum(CREASE_INT32, false, false, x, y, 3, 2, 0, 1);
    cr_assert(memcmp(y, (int32_t[]){1, 2, 4, 6, 9, 12}, sizeof y) == 0);
    cr_cumulative_sum(CREASE_INT32, true, true, x, y, 3, 2, 0, 1);
    cr_assert(memcmp(y, (int32_t[]){8, 10, 5, 6, 0, 0}, sizeof y) == 0);
}

Test(select, gathering_and_scattering_elements) {
    const int32_t x[] = {1, 2, 3, 4, 5, 6}, indices[] = {2, 0, -1, -3};
    int32_t y[4], z[6];
    cr_elements e = {.rank = 2, .axis = 1, .n = {2, 2}, .stride = {3, 1}, .extent = 3};
    cr_assert_eq(cr_check_indices(indices, false, 4, 3), 4);
    cr_assert_eq(cr_check_indices(indices, false, 4, 2), 0);
    cr_gather_elements(&e, 4, x, indices, false, y, 0, 4);
    cr_assert(memcmp(y, (int32_t[]){3, 1, 6, 4}, sizeof y) == 0);
    memcpy(z, x, sizeof z);
    cr_scatter_elements(&e, CR_REDUCE_ADD, CREASE_INT32, (int32_t[]){10, 20, 30, 40}, indices, false, z, 4);
    cr_assert(memcmp(z, (int32_t[]){21, 2, 13, 44, 5, 36}, sizeof z) == 0);
}
