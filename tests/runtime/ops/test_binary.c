#include "tests/runtime/ops/one.h"

Test(binary, ones_stretch_on_both_sides) {
    one o = one_begin("Sub", 14, 1);
    one_floats(&o, 10, DIMS(2, 1));
    one_floats(&o, 0, DIMS(3));
    ONE_GIVES(&o, (DIMS(2, 3)), 10, 9, 8, 11, 10, 9);
}

Test(binary, a_scalar_meets_nothing) {
    one o = one_begin("Add", 14, 1);
    one_floats(&o, 1, SCALAR);
    one_floats(&o, 0, DIMS(2, 0, 3));
    ONE_GIVES_NOTHING(&o, (DIMS(2, 0, 3)));
}

Test(binary, one_stretches_to_nothing) {
    one o = one_begin("Mul", 14, 1);
    one_floats(&o, 1, DIMS(1, 3));
    one_floats(&o, 0, DIMS(0, 1));
    ONE_GIVES_NOTHING(&o, (DIMS(0, 3)));
}

Test(binary, other_extents_are_refused) {
    one o = one_begin("Add", 14, 1);
    one_floats(&o, 0, DIMS(2, 3));
    one_floats(&o, 0, DIMS(2));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(binary, other_types_are_refused) {
    one o = one_begin("Add", 14, 1);
    one_floats(&o, 0, DIMS(2));
    one_ints(&o, 2, (int64_t[]){1, 2});
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(binary, integers_are_never_divided_by_nothing) {
    one o = one_begin("Div", 14, 1);
    one_ints(&o, 2, (int64_t[]){1, INT64_MIN});
    one_ints(&o, 2, (int64_t[]){0, -1});
    crease_status status = one_run(&o); /* a status or a value, but no trap */
    cr_assert(status == CREASE_OK || status == CREASE_ERROR_RUN, "%s", crease_error_message());
    one_end(&o);
}

Test(binary, division_of_integers_cuts_toward_zero) {
    one o = one_begin("Div", 14, 1);
    one_ints(&o, 3, (int64_t[]){7, -7, 7});
    one_ints(&o, 3, (int64_t[]){2, 2, -2});
    ONE_GIVES(&o, (DIMS(3)), 3, -3, -3);
}

Test(binary, the_old_axis_attribute) {
    one o = one_begin("Add", 6, 1);
    OK(cr_node_set_int(o.node, "broadcast", 1));
    OK(cr_node_set_int(o.node, "axis", 0));
    one_floats(&o, 0, DIMS(2, 2));
    one_floats(&o, 10, DIMS(2));
    ONE_GIVES(&o, (DIMS(2, 2)), 10, 11, 13, 14);
}

Test(binary, an_old_axis_beyond_all_extents) {
    one o = one_begin("Add", 6, 1);
    OK(cr_node_set_int(o.node, "broadcast", 1));
    OK(cr_node_set_int(o.node, "axis", INT64_MAX));
    one_floats(&o, 0, DIMS(2, 2));
    one_floats(&o, 10, DIMS(2));
    ONE_GIVES(&o, (DIMS(2, 2)), 10, 12, 12, 14); /* aligned as if there were none */
}

/* It never had that attribute; read as if it had, the second input would end too early. */
Test(binary, sums_have_no_axis) {
    one o = one_begin("Sum", 6, 1);
    OK(cr_node_set_int(o.node, "broadcast", 1));
    OK(cr_node_set_int(o.node, "axis", 0));
    one_floats(&o, 0, DIMS(2, 3));
    one_floats(&o, 10, DIMS(2));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "do not broadcast");
}

Test(binary, old_slopes_are_one_for_each_channel) {
    one o = one_begin("PRelu", 6, 1);
    one_floats(&o, -4, DIMS(1, 2, 2));
    one_floats(&o, 2, DIMS(2));
    ONE_GIVES(&o, (DIMS(1, 2, 2)), -8, -6, -6, -3);
    one few = one_begin("PRelu", 6, 1);
    one_floats(&few, -4, DIMS(1, 4, 1));
    one_floats(&few, 2, DIMS(2));
    ONE_FAILS(&few, CREASE_ERROR_MODEL, "do not broadcast");
}

Test(binary, powers_of_two_types) {
    one o = one_begin("Pow", 13, 1);
    one_floats(&o, 2, DIMS(2));
    one_ints(&o, 2, (int64_t[]){3, 0});
    ONE_GIVES(&o, (DIMS(2)), 8, 1);
}

/* The exponent takes the base's size, which may be the smaller one. */
/* By a float or an integer, whose dims may add some to the result. */
Test(binary, squares_are_powers) {
    const float tiny = 1e-30F;
    one o = one_begin("Pow", 13, 1);
    one_floats(&o, -3, DIMS(5));
    ((float *)o.in[0].data)[3] = -INFINITY;
    ((float *)o.in[0].data)[4] = tiny;
    one_floats(&o, 2, DIMS(1, 1));
    ONE_GIVES(&o, (DIMS(1, 5)), 9, 4, 1, INFINITY, tiny * tiny);
    one two = one_begin("Pow", 13, 1);
    one_floats(&two, -3, DIMS(2, 2));
    one_ints(&two, 1, (int64_t[]){2});
    ONE_GIVES(&two, (DIMS(2, 2)), 9, 4, 1, 0);
    one three = one_begin("Pow", 13, 1);
    one_floats(&three, 1, DIMS(3));
    one_floats(&three, 2, DIMS(3, 1));
    ONE_GIVES(&three, (DIMS(3, 3)), 1, 4, 9, 1, 8, 27, 1, 16, 81);
}

Test(binary, powers_of_narrow_integers) {
    one o = one_begin("Pow", 13, 1);
    uint8_t *base = one_input(&o, CREASE_UINT8, DIMS(5));
    memcpy(base, (uint8_t[]){2, 3, 1, 0, 15}, 5);
    one_ints(&o, 5, (int64_t[]){7, 5, 9, 2, 2});
    ONE_GIVES(&o, (DIMS(5)), 128, 243, 1, 0, 225);
}

Test(binary, powers_by_narrow_integers) {
    one o = one_begin("Pow", 13, 1);
    one_floats(&o, 2, DIMS(2));
    uint8_t *exponent = one_input(&o, CREASE_UINT8, DIMS(2));
    memcpy(exponent, (uint8_t[]){3, 2}, 2);
    ONE_GIVES(&o, (DIMS(2)), 8, 9);
}

Test(binary, powers_by_what_is_no_number_are_refused) {
    one o = one_begin("Pow", 13, 1);
    one_floats(&o, 2, DIMS(1));
    *(uint8_t *)one_input(&o, CREASE_BOOL, DIMS(1)) = 1;
    cr_assert_eq(one_run(&o), CREASE_ERROR_MODEL);
    one_end(&o);
}

Test(binary, the_largest_of_one_and_of_many) {
    one single = one_begin("Max", 13, 1);
    one_floats(&single, 3, DIMS(2));
    ONE_GIVES(&single, (DIMS(2)), 3, 4);
    one many = one_begin("Max", 13, 1);
    one_floats(&many, 0, DIMS(2, 1));
    one_floats(&many, 0, DIMS(1, 2));
    one_floats(&many, 0.5F, SCALAR);
    ONE_GIVES(&many, (DIMS(2, 2)), 0.5, 1, 1, 1);
}

Test(binary, nan_is_passed_on_by_max) {
    one o = one_begin("Max", 13, 1);
    *(float *)one_input(&o, CREASE_FLOAT, DIMS(1)) = NAN;
    one_floats(&o, 1, DIMS(1));
    ONE_GIVES(&o, (DIMS(1)), NAN);
}

/* Element i of [whole] comes from this one of inputs whose extents in `ones` (a bit each) are 1. */
static int64_t source_of(const int64_t *whole, int rank, int ones, int64_t i) {
    int64_t from = 0, stride = 1;
    for (int d = rank - 1; d >= 0; i /= whole[d--]) {
        if (ones >> d & 1)
            continue;
        from += i % whole[d] * stride;
        stride *= whole[d];
    }
    return from;
}

static void check_difference(crease_dtype dtype, const int64_t *whole, int a_ones, int b_ones) {
    enum { RANK = 4 };
    int64_t dims[2][RANK], both[RANK], n = 1;
    one o = one_begin("Sub", 14, 1);
    for (int d = 0; d < RANK; d++) {
        dims[0][d] = a_ones >> d & 1 ? 1 : whole[d];
        dims[1][d] = b_ones >> d & 1 ? 1 : whole[d];
        n *= both[d] = a_ones & b_ones & 1 << d ? 1 : whole[d];
    }
    for (int k = 0; k < 2; k++) {
        void *x = one_input(&o, dtype, RANK, dims[k]);
        for (int64_t i = 0; i < cr_shape_n(&o.in[k].shape); i++)
            if (dtype == CREASE_INT64)
                ((int64_t *)x)[i] = i * 7 % 31 + k;
            else
                cr_store_float(dtype, x, i, (double)(i * 7 % 31 + k));
    }
    OK(one_run(&o));
    cr_assert_eq(cr_shape_n(&o.out[0].shape), n);
    for (int64_t i = 0; i < n; i++) {
        const int64_t want =
            source_of(both, RANK, a_ones, i) * 7 % 31 - source_of(both, RANK, b_ones, i) * 7 % 31 - 1;
        const double got = dtype == CREASE_INT64 ? (double)cr_tensor_int(&o.out[0], i)
                                                 : cr_load_float(dtype, o.out[0].data, i);
        cr_assert_eq(got, (double)want, "axes %x and %x of 1, rows of %d, element %d", (unsigned)a_ones,
                     (unsigned)b_ones, (int)whole[RANK - 1], (int)i);
    }
    one_end(&o);
}

Test(binary, any_axes_repeat) {
    static const crease_dtype types[] = {CREASE_FLOAT, CREASE_DOUBLE, CREASE_INT64, CREASE_FLOAT16};
    static const int64_t wholes[][4] = {{2, 3, 5, 3}, {3, 2, 71, 5}, {2, 3, 2, 70}, {1, 4, 45, 31}};
    for (int way = 0; way < 256; way++)
        for (int size = 0; size < 4; size++)
            check_difference(types[(way + size) % 4], wholes[size], way & 15, way >> 4);
}

Test(binary, threads_may_begin_within_rows) {
    static const int64_t whole[] = {7, 1999, 5},
                         parts[][3] = {{1, 1, 5}, {1, 1999, 5}, {7, 1, 5}, {7, 1999, 1}};
    for (int way = 0; way < 8; way++) {
        one o = one_begin("Sub", 14, 1);
        for (int k = 0; k < 2; k++)
            one_floats(&o, (float)k, 3, (way & 1) == k ? whole : parts[way / 2]);
        OK(one_run(&o));
        cr_pool *pool;
        cr_tensor again;
        OK(cr_pool_create(o.heap, 4, &pool));
        const cr_eval eval = {.heap = o.heap, .pool = pool};
        OK(cr_eval_node(&eval, o.node, (const cr_tensor *[]){&o.in[0], &o.in[1]}, &again));
        cr_assert_arr_eq(again.data, o.out[0].data, 7 * 1999 * 5 * sizeof(float), "way %d", way);
        cr_tensor_release(&again);
        cr_pool_destroy(pool);
        one_end(&o);
    }
}

/* y[i][j][k] by its definition, for inputs of which each dimension may repeat; of 1, 2, 4, 8 and 16 bytes. */
Test(binary, where_chooses_by_element) {
    static const crease_dtype types[] = {CREASE_UINT8, CREASE_INT16, CREASE_FLOAT, CREASE_INT64,
                                         CREASE_COMPLEX128};
    static const int64_t whole[3] = {3, 7, 5};
    for (int way = 0; way < 512; way++) { /* three bits for each input: which dimensions are 1 */
        const crease_dtype dtype = types[way % 5];
        const size_t bytes = crease_dtype_bits(dtype) / 8;
        int64_t dims[3][3];
        one o = one_begin("Where", 9, 1);
        for (int k = 0; k < 3; k++) {
            for (int d = 0; d < 3; d++)
                dims[k][d] = way >> (3 * k + d) & 1 ? 1 : whole[d];
            uint8_t *x = one_input(&o, k ? dtype : CREASE_BOOL, 3, dims[k]);
            for (size_t i = 0; i < cr_buffer_bytes(o.in[k].buffer); i++)
                x[i] = (uint8_t)(k ? i * 37 + (size_t)(way + k) * 11 : (i * i + (size_t)way) % 3 % 2);
        }
        OK(one_run(&o));
        const int64_t *y = o.out[0].shape.dims;
        for (int64_t i = 0; i < y[0] * y[1] * y[2]; i++) {
            const int64_t at[3] = {i / y[2] / y[1], i / y[2] % y[1], i % y[2]};
            int64_t from[3];
            for (int k = 0; k < 3; k++)
                from[k] =
                    (at[0] % dims[k][0] * dims[k][1] + at[1] % dims[k][1]) * dims[k][2] + at[2] % dims[k][2];
            const int k = ((const uint8_t *)o.in[0].data)[from[0]] ? 1 : 2;
            cr_assert_arr_eq((const char *)o.out[0].data + (size_t)i * bytes,
                             (const char *)o.in[k].data + (size_t)from[k] * bytes, bytes,
                             "way %d, element %d", way, (int)i);
        }
        one_end(&o);
    }
}
