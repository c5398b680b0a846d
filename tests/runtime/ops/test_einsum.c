#include "tests/runtime/ops/one.h"

/* Matrix products and the definition compute the same: a third operand of ones forces the definition. */

static void fill(one *o, int i, crease_dtype dtype, int rank, const int64_t *dims, bool ones) {
    void *data = one_input_at(o, i, dtype, rank, dims);
    for (int64_t k = 0; k < cr_shape_n(&o->in[i].shape); k++)
        cr_store_float(dtype, data, k, ones ? 1 : one_random(-1, 1));
}

typedef struct sample {
    const char *equation, *with_ones;
    int rank_a, rank_b;
    int64_t a[4], b[4];
} sample;

static const sample samples[] = {
    {"bij,bjk->bik", "bij,bjk,->bik", 3, 3, {3, 4, 5}, {3, 5, 6}},
    {"ij,kj->ki", "ij,kj,->ki", 2, 2, {4, 5}, {3, 5}},
    {"bhid,bhjd->bhij", "bhid,bhjd,->bhij", 4, 4, {2, 3, 4, 5}, {2, 3, 6, 5}},
    {"i,j", "i,j,->ij", 1, 1, {7}, {3}},
    {"abc,cb->", "abc,cb,->", 3, 2, {2, 3, 4}, {4, 3}},
    {"...i,i->...", "...i,i,->...", 3, 1, {2, 3, 4}, {4}},
    {"bcij,bc->jib", "bcij,bc,->jib", 4, 2, {2, 3, 4, 5}, {2, 3}},
};

Test(einsum, products_follow_the_definition) {
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        const sample *s = &samples[i];
        one fast = one_begin("Einsum", 12, 1), slow = one_begin("Einsum", 12, 1);
        OK(cr_node_set_string(fast.node, "equation", s->equation));
        OK(cr_node_set_string(slow.node, "equation", s->with_ones));
        fill(&fast, 0, CREASE_DOUBLE, s->rank_a, s->a, false);
        fill(&fast, 1, CREASE_DOUBLE, s->rank_b, s->b, false);
        one_put(&slow, 0, CREASE_DOUBLE, s->rank_a, s->a, fast.in[0].data);
        one_put(&slow, 1, CREASE_DOUBLE, s->rank_b, s->b, fast.in[1].data);
        fill(&slow, 2, CREASE_DOUBLE, 0, NULL, true);
        OK(one_run(&fast));
        OK(one_run(&slow));
        cr_assert(cr_shape_equal(&fast.out[0].shape, &slow.out[0].shape), "%s", s->equation);
        for (int64_t k = 0; k < cr_shape_n(&fast.out[0].shape); k++)
            cr_assert_float_eq(((double *)fast.out[0].data)[k], ((double *)slow.out[0].data)[k], 1e-12, "%s",
                               s->equation);
        one_end(&slow);
        one_end(&fast);
    }
}

Test(einsum, a_repeated_letter_walks_the_diagonal) {
    one o = one_begin("Einsum", 12, 1);
    OK(cr_node_set_string(o.node, "equation", "ii->i"));
    memcpy(one_input_at(&o, 0, CREASE_INT32, 2, (int64_t[]){2, 2}), (int32_t[]){1, 2, 3, 4}, 16);
    OK(one_run(&o));
    cr_assert_arr_eq(o.out[0].data, ((int32_t[]){1, 4}), 8);
    one_end(&o);
}

Test(einsum, equations_that_make_no_sense_are_refused) {
    static const char *const wrong[] = {"ij,jk->il", "ij,jk->ii", "ij", "ij,jk,kl",  "i,jk", "ij,jk->i k-",
                                        "i1,jk",     "ij,ij->i",  "",   "......,ij", "ij-jk"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        one o = one_begin("Einsum", 12, 1);
        OK(cr_node_set_string(o.node, "equation", wrong[i]));
        fill(&o, 0, CREASE_FLOAT, 2, (int64_t[]){2, 3}, true);
        fill(&o, 1, CREASE_FLOAT, 2, (int64_t[]){3, 4}, true);
        cr_assert_eq(one_run(&o), CREASE_ERROR_MODEL, "'%s'", wrong[i]);
        one_end(&o);
    }
}
