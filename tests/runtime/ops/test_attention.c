#include "tests/runtime/ops/one.h"

static double *fill(one *o, int i, int rank, const int64_t *dims) {
    double *data = one_input_at(o, i, CREASE_DOUBLE, rank, dims);
    for (int64_t k = 0; k < cr_shape_n(&o->in[i].shape); k++)
        data[k] = one_random(-1, 1);
    return data;
}

/* Two query heads on one head of keys, past keys, a causal limit: against the definition. */
Test(attention, queries_see_past_and_present_keys_up_to_their_own) {
    enum { L = 3, PAST = 2, TOTAL = L + PAST, D = 4, E = 2 };
    one o = one_begin("Attention", 23, 3);
    OK(cr_node_set_int(o.node, "is_causal", 1));
    const double *q = fill(&o, 0, 4, (int64_t[]){1, 2, L, D}), *k = fill(&o, 1, 4, (int64_t[]){1, 1, L, D});
    const double *v = fill(&o, 2, 4, (int64_t[]){1, 1, L, E}), *mask = fill(&o, 3, 2, (int64_t[]){L, TOTAL});
    const double *pk = fill(&o, 4, 4, (int64_t[]){1, 1, PAST, D});
    const double *pv = fill(&o, 5, 4, (int64_t[]){1, 1, PAST, E});
    OK(one_run(&o));
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < L; i++) {
            double weights[TOTAL], sum = 0, y[E] = {0};
            for (int t = 0; t <= i + PAST; t++) {
                const double *key = t < PAST ? pk + t * D : k + (t - PAST) * D;
                weights[t] = mask[i * TOTAL + t];
                for (int d = 0; d < D; d++)
                    weights[t] += q[(h * L + i) * D + d] * key[d] / 2; /* sqrt(D) */
                sum += weights[t] = exp(weights[t]);
            }
            for (int t = 0; t <= i + PAST; t++)
                for (int e = 0; e < E; e++)
                    y[e] += weights[t] / sum * (t < PAST ? pv[t * E + e] : v[(t - PAST) * E + e]);
            for (int e = 0; e < E; e++)
                cr_assert_float_eq(((double *)o.out[0].data)[(h * L + i) * E + e], y[e], 1e-12);
        }
    cr_assert_eq(memcmp(o.out[1].data, pk, sizeof(double) * PAST * D), 0);
    cr_assert_eq(memcmp((double *)o.out[2].data + PAST * E, v, sizeof(double) * L * E), 0);
    one_end(&o);
}

Test(attention, a_query_that_sees_nothing_gives_zero) {
    one o = one_begin("Attention", 23, 1);
    fill(&o, 0, 4, (int64_t[]){1, 1, 1, 2});
    fill(&o, 1, 4, (int64_t[]){1, 1, 3, 2});
    fill(&o, 2, 4, (int64_t[]){1, 1, 3, 2});
    memset(one_input_at(&o, 3, CREASE_BOOL, 2, (int64_t[]){1, 3}), 0, 3);
    OK(one_run(&o));
    cr_assert_eq(((double *)o.out[0].data)[0], 0);
    one_end(&o);
}

Test(attention, shapes_that_do_not_fit_are_refused) {
    static const int64_t shapes[][3][4] = {{{1, 3, 2, 4}, {1, 2, 2, 4}, {1, 2, 2, 4}},
                                           {{1, 2, 2, 4}, {1, 2, 2, 5}, {1, 2, 2, 4}},
                                           {{1, 2, 2, 4}, {1, 2, 3, 4}, {1, 2, 2, 4}},
                                           {{2, 2, 2, 4}, {1, 2, 2, 4}, {1, 2, 2, 4}},
                                           {{1, 2, 2, 4}, {1, 0, 2, 4}, {1, 0, 2, 4}}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        one o = one_begin("Attention", 23, 1);
        for (int k = 0; k < 3; k++)
            fill(&o, k, 4, shapes[i][k]);
        cr_assert_eq(one_run(&o), CREASE_ERROR_MODEL, "case %zu", i);
        one_end(&o);
    }
}

Test(attention, rotation_turns_pairs_and_leaves_the_rest) {
    for (int interleaved = 0; interleaved < 2; interleaved++) {
        one o = one_begin("RotaryEmbedding", 23, 1);
        OK(cr_node_set_int(o.node, "interleaved", interleaved));
        OK(cr_node_set_int(o.node, "rotary_embedding_dim", 4));
        memcpy(one_input_at(&o, 0, CREASE_DOUBLE, 4, (int64_t[]){1, 1, 1, 5}), (double[]){1, 2, 3, 4, 5}, 40);
        memcpy(one_input_at(&o, 1, CREASE_DOUBLE, 2, (int64_t[]){2, 2}), (double[]){9, 9, 0, 1}, 32);
        memcpy(one_input_at(&o, 2, CREASE_DOUBLE, 2, (int64_t[]){2, 2}), (double[]){9, 9, 1, 0}, 32);
        int64_t *position = one_input_at(&o, 3, CREASE_INT64, 2, (int64_t[]){1, 1});
        *position = 1;
        OK(one_run(&o));
        cr_assert_arr_eq(o.out[0].data,
                         (interleaved ? (double[]){-2, 1, 3, 4, 5} : (double[]){-3, 2, 1, 4, 5}), 40);
        *position = 2;
        cr_assert_eq(one_run(&o), CREASE_ERROR_RUN);
        one_end(&o);
    }
}
