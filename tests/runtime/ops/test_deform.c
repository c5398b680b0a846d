#include "tests/runtime/ops/one.h"

static const int64_t x_dims[] = {1, 2, 4, 5}, w_dims[] = {3, 2, 2, 2}, mask_dims[] = {1, 4, 3, 4};

static double *fill(one *o, int i, const int64_t *dims, double low, double high) {
    double *data = one_input_at(o, i, CREASE_DOUBLE, 4, dims);
    for (int64_t k = 0; k < cr_shape_n(&o->in[i].shape); k++)
        data[k] = one_random(low, high);
    return data;
}

/* Whole offsets move taps from element to element; the mask scales them. */
Test(deform, taps_follow_offsets_and_mask) {
    one o = one_begin("DeformConv", 19, 1);
    const double *x = fill(&o, 0, x_dims, -1, 1), *w = fill(&o, 1, w_dims, -1, 1);
    double *offset = fill(&o, 2, (int64_t[]){1, 8, 3, 4}, -3, 4);
    const double *mask = fill(&o, 4, mask_dims, 0, 1);
    for (int i = 0; i < 8 * 12; i++)
        offset[i] = floor(offset[i]);
    OK(one_run(&o));
    for (int c = 0; c < 3; c++)
        for (int p = 0; p < 12; p++) {
            double sum = 0;
            for (int ic = 0; ic < 2; ic++)
                for (int t = 0; t < 4; t++) {
                    const int row = p / 4 + t / 2 + (int)offset[2 * t * 12 + p];
                    const int column = p % 4 + t % 2 + (int)offset[(2 * t + 1) * 12 + p];
                    if (row >= 0 && row < 4 && column >= 0 && column < 5)
                        sum += w[(c * 2 + ic) * 4 + t] * x[(ic * 4 + row) * 5 + column] * mask[t * 12 + p];
                }
            cr_assert_float_eq(((const double *)o.out[0].data)[c * 12 + p], sum, 1e-12);
        }
    one_end(&o);
}

Test(deform, groups_and_fields_that_do_not_fit_are_refused) {
    for (int wrong = 0; wrong < 3; wrong++) {
        one o = one_begin("DeformConv", 19, 1);
        OK(cr_node_set_int(o.node, "offset_group", wrong == 0 ? 3 : 1));
        OK(cr_node_set_int(o.node, "group", wrong == 1 ? 0 : 1));
        fill(&o, 0, x_dims, -1, 1);
        fill(&o, 1, w_dims, -1, 1);
        fill(&o, 2, (int64_t[]){1, wrong == 2 ? 6 : 8, 3, 4}, 0, 1);
        cr_assert_eq(one_run(&o), CREASE_ERROR_MODEL, "case %d", wrong);
        one_end(&o);
    }
}
