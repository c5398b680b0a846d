#include "runtime/kernels/move.h"
#include "runtime/kernels/remap.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 20240607, MAX_BYTES = 1 << 20, ROUNDS = 300 };
static const size_t sizes[] = {1, 2, 4, 8, 16};

static int64_t below(int64_t n) {
    return rand() % n;
}

/* A random permutation of random extents from dense to dense, and what it must give. */
typedef struct permutation {
    int rank;
    int64_t n[5], from[5], to[5], total;
} permutation;

static permutation random_permutation(void) {
    permutation p = {.rank = 1 + (int)below(5), .total = 1};
    int order[5];
    for (int d = 0; d < p.rank; d++) {
        order[d] = d;
        p.n[d] = 1 + below(p.rank < 3 ? 70 : 9);
    }
    for (int d = p.rank - 1; d > 0; d--) {
        int other = (int)below(d + 1), kept = order[d];
        order[d] = order[other];
        order[other] = kept;
    }
    for (int d = p.rank - 1; d >= 0; d--) {
        p.to[d] = p.total;
        p.total *= p.n[d];
    }
    int64_t stride = 1;
    for (int d = 0; d < p.rank; d++) {
        p.from[order[d]] = stride;
        stride *= p.n[order[d]];
    }
    return p;
}

static int64_t source_of(const permutation *p, int64_t i) {
    int64_t at = 0;
    for (int d = 0; d < p->rank; d++)
        at += i / p->to[d] % p->n[d] * p->from[d];
    return at;
}

Test(move, nests_copy_every_element_however_they_are_split) {
    srand(SEED);
    unsigned char *x = malloc(MAX_BYTES), *y = malloc(MAX_BYTES + 1);
    for (int i = 0; i < MAX_BYTES; i++)
        x[i] = (unsigned char)(i * 31 + i / 251);
    for (int round = 0; round < ROUNDS; round++) {
        permutation p = random_permutation();
        size_t size = sizes[below(5)];
        if ((size_t)p.total * size > MAX_BYTES)
            continue;
        cr_nest nest = {0};
        for (int d = 0; d < p.rank; d++)
            cr_nest_add(&nest, p.n[d], p.from[d], p.to[d]);
        int64_t rows = cr_nest_finish(&nest), cut = below(rows + 1);
        cr_assert_eq(rows * cr_nest_row(&nest), p.total);
        memset(y, 0xEE, MAX_BYTES + 1);
        cr_nest_copy(&nest, size, x, y, 0, cut);
        cr_nest_copy(&nest, size, x, y, cut, rows);
        for (int64_t i = 0; i < p.total; i++)
            cr_assert(memcmp(y + (size_t)i * size, x + (size_t)source_of(&p, i) * size, size) == 0,
                      "seed %d round %d element %lld", SEED, round, (long long)i);
        cr_assert_eq(y[(size_t)p.total * size], 0xEE);
    }
    free(x);
    free(y);
}

Test(move, broadcasts_reversals_and_nothing) {
    const uint32_t x[] = {1, 2, 3};
    uint32_t y[9] = {0};
    cr_nest nest = {0};
    cr_nest_add(&nest, 3, 0, 3);
    cr_nest_add(&nest, 3, -1, 1);
    cr_nest_copy(&nest, 4, x + 2, y, 0, cr_nest_finish(&nest));
    cr_assert(memcmp(y, (uint32_t[]){3, 2, 1, 3, 2, 1, 3, 2, 1}, sizeof y) == 0);
    nest = (cr_nest){0};
    cr_nest_add(&nest, 4, 0, 1);
    cr_nest_add(&nest, 0, 1, 1);
    cr_assert_eq(cr_nest_finish(&nest), 0);
    nest = (cr_nest){0};
    cr_assert_eq(cr_nest_finish(&nest), 1, "no loop is one element");
    cr_nest_copy(&nest, 4, x + 1, y, 0, 1);
    cr_assert_eq(y[0], 2);
}

Test(move, remaps_fill_pick_and_repeat_rows) {
    const uint16_t x[] = {1, 2, 3, 4, 5, 6}, filler = 9;
    const int64_t rows[] = {1, 1, -1, 0}, columns[] = {-1, 0, 1, 2, 0};
    uint16_t y[20], want[] = {9, 4, 5, 6, 4, 9, 4, 5, 6, 4, 9, 9, 9, 9, 9, 9, 1, 2, 3, 1};
    cr_remap remap = {.rank = 2,
                      .in = {2, 3},
                      .out = {4, 5},
                      .source = {rows, columns},
                      .inner_begin = 1,
                      .inner_end = 4,
                      .element_bytes = 2};
    for (int64_t cut = 0; cut <= 4; cut++) {
        memset(y, 0, sizeof y);
        cr_remap_rows(&remap, x, &filler, y, 0, cut);
        cr_remap_rows(&remap, x, &filler, y, cut, 4);
        cr_assert(memcmp(y, want, sizeof y) == 0, "cut at %lld", (long long)cut);
    }
}
