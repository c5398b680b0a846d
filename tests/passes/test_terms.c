#include "passes/terms.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free

#define OK(call) cr_assert_eq((call), CREASE_OK, "%s", crease_error_message())

static cr_heap *heap;
static cr_terms terms;

static void begin(void) {
    OK(cr_heap_create(NULL, 0, &heap));
    cr_terms_init(&terms, heap);
}

static void end(void) {
    cr_terms_clear(&terms);
    cr_heap_release(heap);
}

TestSuite(terms, .init = begin, .fini = end);

static int atom(void) {
    int id;
    OK(cr_term_atom(&terms, &id));
    return id;
}

static int number(int64_t n) {
    int id;
    OK(cr_term_number(&terms, n, &id));
    return id;
}

static int formula(int t, int64_t m, int64_t o, int64_t s) {
    int id;
    OK(cr_term_floor(&terms, t, m, o, s, &id));
    return id;
}

/* What a term is for one value of the only atom. */
static int64_t value_at(int id, int64_t x) {
    const cr_term *t = &terms.items[id];
    if (t->root < 0)
        return t->o;
    const int64_t of = t->m * (t->root == id ? x : value_at(t->root, x)) + t->o;
    return of / t->s - (of % t->s < 0);
}

Test(terms, atoms_differ_and_numbers_are_themselves) {
    cr_assert_neq(atom(), atom());
    cr_assert_eq(number(7), number(7));
    cr_assert_neq(number(7), number(-7));
}

Test(terms, formulas_have_one_form) {
    const int x = atom();
    cr_assert_eq(formula(x, 1, 0, 1), x);
    cr_assert_eq(formula(x, 3, 0, 3), x);
    cr_assert_eq(formula(x, 2, 5, 4), formula(x, 1, 2, 2)); /* (2x + 5) / 4 */
    cr_assert_eq(formula(x, 2, -1, 4), formula(x, 1, -1, 2));
    cr_assert_eq(formula(formula(x, 1, 1, 2), 1, 1, 2), formula(x, 1, 3, 4));
    cr_assert_eq(formula(formula(x, 2, 0, 1), 1, 0, 2), x);
    cr_assert_eq(formula(number(9), 1, 1, 4), number(2));
    cr_assert_eq(formula(number(-9), 1, 0, 2), number(-5));
    cr_assert_eq(formula(x, 0, 7, 2), number(3));
}

Test(terms, other_formulas_differ) {
    const int x = atom(), y = atom();
    cr_assert_neq(formula(x, 1, 1, 2), formula(y, 1, 1, 2));
    cr_assert_neq(formula(x, 1, 1, 2), formula(x, 1, 0, 2));
    cr_assert_neq(formula(formula(x, 1, 0, 2), 2, 0, 1), x); /* even numbers only */
    cr_assert_neq(formula(x, 1, 1, 2), formula(x, 1, 1, 3));
}

Test(terms, chains_are_what_they_say) {
    unsigned seed = 1;
    for (int trial = 0; trial < 2000; trial++) {
        const int x = atom();
        int64_t steps[4][3];
        int id = x;
        for (int i = 0; i < 4; i++) {
            for (int k = 0; k < 3; k++, seed = seed * 1664525U + 1013904223U)
                steps[i][k] = (int64_t)(seed >> 16) % 5 - (k == 1 ? 2 : 0) + (k == 2);
            id = formula(id, steps[i][0], steps[i][1], steps[i][2]);
        }
        for (int64_t at = 0; at < 30; at++) {
            int64_t expected = at;
            for (int i = 0; i < 4; i++) {
                const int64_t of = steps[i][0] * expected + steps[i][1];
                expected = of / steps[i][2] - (of % steps[i][2] < 0);
            }
            cr_assert_eq(value_at(id, at), expected, "trial %d, x = %lld", trial, (long long)at);
        }
    }
}

Test(terms, large_numbers_are_not_computed) {
    const int x = atom(), far = formula(x, 1, (int64_t)1 << 29, 1);
    cr_assert_neq(formula(x, INT64_MAX, 0, 1), formula(x, INT64_MAX, 0, 1));
    cr_assert_neq(formula(formula(far, 1 << 20, 0, 1), 1 << 20, 0, 1),
                  formula(formula(far, 1 << 20, 0, 1), 1 << 20, 0, 1));
    cr_assert_neq(formula(number(INT64_MAX), 1, 1, 1), number(INT64_MIN));
}

Test(terms, natural_ones) {
    const int x = atom();
    cr_assert(cr_term_is_natural(&terms, x));
    cr_assert(cr_term_is_natural(&terms, number(0)));
    cr_assert(cr_term_is_natural(&terms, formula(x, 2, 3, 5)));
    cr_assert_not(cr_term_is_natural(&terms, number(-1)));
    cr_assert_not(cr_term_is_natural(&terms, formula(x, 1, -1, 2)));
    cr_assert_not(cr_term_is_natural(&terms, formula(formula(x, 1, -1, 2), 3, 1, 1)));
}

Test(terms, many_are_found_again) {
    const int x = atom();
    int ids[3000];
    for (int i = 0; i < 3000; i++)
        ids[i] = formula(x, 1, i, 1);
    for (int i = 0; i < 3000; i++)
        cr_assert_eq(formula(x, 1, i, 1), ids[i]);
}
