#include "tests/runtime/ops/one_node.h"

static void floats(one *o, int i, int rank, const int64_t *dims, const float *values) {
    void *data = one_input(o, i, CREASE_FLOAT, rank, dims);
    memcpy(data, values, cr_buffer_bytes(o->in[i].buffer));
}

static float first(const one *o) {
    return ((const float *)o->out[0].data)[0];
}

/* One point of a row 10, 20, 30 read under every border rule. */
static float sample(const char *mode, const char *border, bool align, float x) {
    one o = one_begin("GridSample", 20, 2, 1);
    OK(cr_node_set_string(o.node, "mode", mode));
    OK(cr_node_set_string(o.node, "padding_mode", border));
    OK(cr_node_set_int(o.node, "align_corners", align));
    floats(&o, 0, 4, (int64_t[]){1, 1, 1, 3}, (float[]){10, 20, 30});
    floats(&o, 1, 4, (int64_t[]){1, 1, 1, 2}, (float[]){x, 0});
    OK(one_run(&o));
    const float y = first(&o);
    one_end(&o);
    return y;
}

Test(sample, grids_read_between_and_beyond_elements) {
    cr_assert_float_eq(sample("linear", "zeros", true, -0.5f), 15, 1e-5f);
    cr_assert_float_eq(sample("linear", "zeros", true, 1.5f), 15, 1e-5f); /* half of 30, half of nothing */
    cr_assert_float_eq(sample("linear", "border", true, 9), 30, 1e-5f);
    cr_assert_float_eq(sample("linear", "reflection", true, 2), 20, 1e-5f);
    cr_assert_float_eq(sample("linear", "reflection", false, 1.5f), 27.5f, 1e-4f);
    cr_assert_float_eq(sample("nearest", "zeros", true, 0.6f), 30, 1e-5f);
    cr_assert_float_eq(sample("nearest", "zeros", true, -3), 0, 1e-5f);
    cr_assert_float_eq(sample("cubic", "border", true, 0), 20, 1e-4f);
    cr_assert_float_eq(sample("linear", "zeros", true, NAN), 0, 1e-5f);
    cr_assert_float_eq(sample("linear", "reflection", true, INFINITY), 0, 1e-5f);
}

Test(sample, boxes_from_data_cannot_ask_for_endless_work) {
    static const float wild[][4] = {{0, 0, 1e9f, 1e9f}, {0, 0, NAN, 1}, {-INFINITY, 0, 1, 1}};
    for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
        one o = one_begin("RoiAlign", 16, 3, 1);
        floats(&o, 0, 4, (int64_t[]){1, 1, 2, 2}, (float[]){1, 2, 3, 4});
        floats(&o, 1, 2, (int64_t[]){1, 4}, wild[i]);
        *(int64_t *)one_input(&o, 2, CREASE_INT64, 1, (int64_t[]){1}) = 0;
        cr_assert_eq(one_run(&o), CREASE_ERROR_RUN);
        one_end(&o);
    }
}

Test(sample, a_box_outside_of_the_batch_is_refused) {
    for (int64_t image = -1; image < 2; image += 2) {
        one o = one_begin("RoiAlign", 16, 3, 1);
        floats(&o, 0, 4, (int64_t[]){1, 1, 2, 2}, (float[]){1, 2, 3, 4});
        floats(&o, 1, 2, (int64_t[]){1, 4}, (float[]){0, 0, 1, 1});
        *(int64_t *)one_input(&o, 2, CREASE_INT64, 1, (int64_t[]){1}) = image;
        cr_assert_eq(one_run(&o), CREASE_ERROR_RUN);
        one_end(&o);
    }
}

Test(sample, bins_take_their_largest_element) {
    one o = one_begin("MaxRoiPool", 1, 2, 1);
    OK(cr_node_set_ints(o.node, "pooled_shape", (int64_t[]){1, 2}, 2));
    OK(cr_node_set_float(o.node, "spatial_scale", 0.5f));
    floats(&o, 0, 4, (int64_t[]){1, 1, 2, 4}, (float[]){1, 2, 3, 4, 5, 8, 7, 6});
    floats(&o, 1, 2, (int64_t[]){1, 5}, (float[]){0, 0, 0, 6, 2}); /* columns 0 to 3, rows 0 and 1 */
    OK(one_run(&o));
    cr_assert_arr_eq(o.out[0].data, ((float[]){8, 7}), 8);
    one_end(&o);
}

Test(sample, suppression_keeps_the_best_of_what_overlaps) {
    one o = one_begin("NonMaxSuppression", 11, 5, 1);
    floats(&o, 0, 3, (int64_t[]){1, 3, 4}, (float[]){0, 0, 1, 1, 0, 0.1f, 1, 1.1f, 5, 5, 6, 6});
    floats(&o, 1, 3, (int64_t[]){1, 1, 3}, (float[]){0.5f, 0.9f, 0.4f});
    *(int64_t *)one_input(&o, 2, CREASE_INT64, 1, (int64_t[]){1}) = 9;
    floats(&o, 3, 0, NULL, (float[]){0.5f});
    floats(&o, 4, 0, NULL, (float[]){0.1f});
    OK(one_run(&o));
    cr_assert_eq(o.out[0].shape.dims[0], 2);
    cr_assert_arr_eq(o.out[0].data, ((int64_t[]){0, 0, 1, 0, 0, 2}), 48);
    one_end(&o);
}
