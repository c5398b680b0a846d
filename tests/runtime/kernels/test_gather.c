#include "runtime/kernels/gather.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free
#include <stdlib.h>
#include <string.h>

/* Elements beside their definition, in bytes of any number. */

enum { RANK = 3, MOST = 6 * 6 * 6, WIDEST = 16 };

typedef struct elements_case {
    cr_elements e;
    int64_t n, indices[MOST];
    int32_t narrow[MOST];
    int64_t elements[MOST]; /* that the indices speak of */
} elements_case;

static int64_t below(int64_t n) {
    return rand() % n;
}

/* Indices from both ends; the other extents are at most the data's. */
static elements_case random_case(void) {
    elements_case c = {.e = {.rank = RANK, .axis = (int)below(RANK)}, .n = 1};
    int64_t x[RANK], stride = 1;
    for (int d = RANK - 1; d >= 0; d--) {
        x[d] = 1 + below(6);
        c.e.stride[d] = stride;
        c.e.n[d] = d == c.e.axis ? 1 + below(6) : 1 + below(x[d]);
        stride *= x[d];
        c.n *= c.e.n[d];
    }
    c.e.extent = x[c.e.axis];
    for (int64_t i = 0; i < c.n; i++) {
        int64_t at[] = {i / (c.e.n[1] * c.e.n[2]), i / c.e.n[2] % c.e.n[1], i % c.e.n[2]};
        at[c.e.axis] = below(c.e.extent);
        c.indices[i] = at[c.e.axis] - (rand() % 2 ? c.e.extent : 0);
        c.narrow[i] = (int32_t)c.indices[i];
        c.elements[i] = at[0] * c.e.stride[0] + at[1] * c.e.stride[1] + at[2] * c.e.stride[2];
    }
    return c;
}

static void fill(uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)rand();
}

/* In two parts, which may meet within a row. */
Test(gather, elements_of_any_size) {
    static const size_t sizes[] = {1, 2, 4, 8, 16};
    uint8_t x[MOST * WIDEST], y[MOST * WIDEST];
    srand(1);
    for (int run = 0; run < 500; run++) {
        const elements_case c = random_case();
        const size_t bytes = sizes[run % 5];
        const int64_t half = below(c.n + 1);
        const bool wide = rand() % 2;
        const void *indices = wide ? (const void *)c.indices : c.narrow;
        fill(x, sizeof x);
        cr_gather_elements(&c.e, bytes, x, indices, wide, y, 0, half);
        cr_gather_elements(&c.e, bytes, x, indices, wide, y, half, c.n);
        for (int64_t i = 0; i < c.n; i++)
            cr_assert_eq(memcmp(y + (size_t)i * bytes, x + (size_t)c.elements[i] * bytes, bytes), 0);
    }
}

/* Where indices meet the last one wins, or all are added; nothing else changes. */
Test(scatter, elements_of_any_type) {
    static const crease_dtype types[] = {CREASE_UINT8, CREASE_FLOAT16, CREASE_UINT32, CREASE_INT64,
                                         CREASE_COMPLEX128};
    uint8_t x[MOST * WIDEST], y[MOST * WIDEST], expected[MOST * WIDEST];
    srand(2);
    for (int run = 0; run < 500; run++) {
        const elements_case c = random_case();
        const crease_dtype dtype = types[run % 5];
        const size_t bytes = cr_element_bytes(dtype);
        const bool wide = rand() % 2, adds = dtype == CREASE_UINT32 && rand() % 2;
        const cr_reduction reduction = adds ? CR_REDUCE_ADD : CR_REDUCE_NONE;
        fill(x, sizeof x);
        fill(y, sizeof y);
        memcpy(expected, y, sizeof y);
        for (int64_t i = 0; i < c.n; i++)
            cr_combine(reduction, dtype, x + (size_t)i * bytes, expected + (size_t)c.elements[i] * bytes, 1);
        cr_scatter_elements(&c.e, reduction, dtype, x, wide ? (const void *)c.indices : c.narrow, wide, y,
                            c.n);
        cr_assert_eq(memcmp(y, expected, sizeof y), 0);
    }
}
