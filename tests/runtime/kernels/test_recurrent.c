#include "runtime/kernels/recurrent.h"
#include "tests/runtime/kernels/guard.h"

#include <criterion/criterion.h>

/* Fast cells against the reference, over random cells between guard zones. */

enum { ROUNDS = 300, MOST = 5 * CR_CELL_PAD };

static float uniform(float low, float high) {
    return low + (high - low) * (float)rand() / (float)RAND_MAX;
}

static void fill(guarded *g) {
    for (size_t i = 0; i < g->n; i++)
        g->data[i] = uniform(-3, 3);
}

static cr_cell_activation random_activation(void) {
    static const cr_cell_act kinds[] = {CR_CELL_TANH,         CR_CELL_SIGMOID,    CR_CELL_RELU,
                                        CR_CELL_HARD_SIGMOID, CR_CELL_LEAKY_RELU, CR_CELL_ELU};
    return (cr_cell_activation){kinds[rand() % 6], 0.25, 0.5};
}

typedef struct buffers {
    guarded x, r, bias, bias_r, peep, h, c, reset;
} buffers;

static buffers make(size_t n) {
    buffers b = {guarded_new(4 * n), guarded_new(4 * n), guarded_new(4 * n), guarded_new(n),
                 guarded_new(3 * n), guarded_new(n),     guarded_new(n),     guarded_new(n)};
    guarded *all[] = {&b.x, &b.r, &b.bias, &b.bias_r, &b.peep, &b.h, &b.c, &b.reset};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        fill(all[i]);
    return b;
}

static void destroy(buffers *b) {
    guarded *all[] = {&b->x, &b->r, &b->bias, &b->bias_r, &b->peep, &b->h, &b->c, &b->reset};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        cr_assert(guarded_intact(all[i]));
        guarded_free(all[i]);
    }
}

static void close_to(const float *got, const float *want, size_t n, const char *what) {
    for (size_t i = 0; i < n; i++)
        cr_assert_float_eq(got[i], want[i], 2e-6f * (1 + fabsf(want[i])), "%s[%zu]: %.9g, expected %.9g",
                           what, i, (double)got[i], (double)want[i]);
}

static void compare(const cr_cell_kernels *fast, const cr_cell *cell, buffers *b, int kind) {
    const size_t n = (size_t)cell->n;
    const cr_cell_kernels *slow = &cr_cell_f32_reference;
    float h[MOST], c[MOST], reset[MOST];
    memcpy(h, b->h.data, n * sizeof *h);
    memcpy(c, b->c.data, n * sizeof *c);
    if (kind == 0) {
        slow->rnn(cell, b->x.data, b->r.data, h);
        fast->rnn(cell, b->x.data, b->r.data, b->h.data);
    } else if (kind == 1) {
        slow->lstm(cell, b->x.data, b->r.data, h, c);
        fast->lstm(cell, b->x.data, b->r.data, b->h.data, b->c.data);
    } else if (kind == 2) {
        slow->gru(cell, b->x.data, b->r.data, h);
        fast->gru(cell, b->x.data, b->r.data, b->h.data);
    } else {
        slow->gru_reset(cell, b->x.data, b->r.data, h, reset);
        fast->gru_reset(cell, b->x.data, b->r.data, b->h.data, b->reset.data);
        close_to(b->reset.data, reset, n, "reset");
    }
    close_to(b->h.data, h, n, "h");
    close_to(b->c.data, c, n, "c");
}

static void agree(const cr_cell_kernels *fast) {
    srand(20250301);
    for (int round = 0; round < ROUNDS; round++) {
        const size_t n = (size_t)(1 + rand() % 5) * CR_CELL_PAD;
        buffers b = make(n);
        cr_cell cell = {.n = (int64_t)n,
                        .f = random_activation(),
                        .g = random_activation(),
                        .h = random_activation(),
                        .clip = rand() % 2 ? INFINITY : 0.75,
                        .coupled = rand() % 2 != 0,
                        .linear = rand() % 2 != 0,
                        .bias = b.bias.data,
                        .bias_r = b.bias_r.data,
                        .peep = rand() % 2 ? b.peep.data : NULL};
        compare(fast, &cell, &b, round % 4);
        destroy(&b);
    }
}

Test(recurrent, portable_vectors_agree_with_the_reference) {
    agree(&cr_cell_f32_generic);
}

#if defined __x86_64__
Test(recurrent, avx2_agrees_with_the_reference) {
    if (cr_cpu_isa() >= CR_ISA_AVX2 && cr_cpu_isa() <= CR_ISA_AVX512)
        agree(&cr_cell_f32_avx2);
}

Test(recurrent, avx512_agrees_with_the_reference) {
    if (cr_cpu_isa() == CR_ISA_AVX512)
        agree(&cr_cell_f32_avx512);
}
#endif
