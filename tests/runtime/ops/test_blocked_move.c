#include "tests/runtime/ops/one.h"

/* [1, c, 3] in blocks of four channels, filled with 0, 1, 2, ... as it lies in memory. */
static one trim(int64_t c, int64_t channels) {
    one o = one_begin("Trim", 13, 1);
    const int64_t blocks = (c + 3) / 4;
    o.model->lowered = true;
    OK(cr_node_set_op(o.node, "Trim", "crease"));
    OK(cr_node_set_int(o.node, "channels", channels));
    o.node->lanes = 4;
    one_floats(&o, 0, DIMS(1, 4 * blocks, 3));
    o.in[0].lanes = 4;
    o.in[0].shape.dims[1] = c;
    return o;
}

Test(blocked_move, trim_keeps_the_blocks) {
    for (int64_t c = 5; c <= 8; c++)
        for (int64_t channels = 5; channels <= c; channels++) {
            one o = trim(c, channels);
            OK(one_run(&o));
            one_shape(&o, 0, DIMS(1, channels, 3));
            cr_assert_eq(o.out[0].lanes, 4);
            cr_assert_eq(memcmp(o.out[0].data, o.in[0].data, 8 * 3 * sizeof(float)), 0);
            one_end(&o);
        }
}

Test(blocked_move, trim_refuses_other_numbers) {
    static const int64_t wrong[] = {-1, 0, 3, 4, 8, 9, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        one o = trim(7, wrong[i]);
        ONE_FAILS(&o, CREASE_ERROR_MODEL, "of 7 channels");
    }
}
