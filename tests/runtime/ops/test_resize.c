#include "runtime/ops/infer.h"
#include "tests/runtime/ops/one.h"

/* Shapes behind a Resize whose input is not wholly known. */

/* Scales 1, 1, 2, 2 of an input of this shape; what is inferred. */
static cr_shape infer_doubled(int rank, const int64_t *dims) {
    one o = one_begin("Resize", 13, 1);
    cr_value *x, *scales;
    cr_tensor *t;
    cr_shape four = cr_shape_of(1, (int64_t[]){4}), found;
    OK(cr_graph_add_value(o.model->graph, "x", true, &x));
    x->dtype = CREASE_FLOAT;
    x->shape = rank < 0 ? cr_shape_unknown() : cr_shape_of(rank, dims);
    OK(cr_graph_add_input(o.model->graph, x));
    OK(cr_graph_new_constant(o.model->graph, "scales", CREASE_FLOAT, &four, &scales, &t));
    for (int i = 0; i < 4; i++)
        ((float *)t->data)[i] = i < 2 ? 1 : 2;
    OK(cr_node_set_input(o.node, 0, x));
    OK(cr_node_set_input(o.node, 2, scales));
    OK(cr_model_resolve(o.model));
    OK(cr_graph_infer(o.model->graph));
    found = o.node->outputs[0]->shape;
    one_end(&o);
    return found;
}

Test(resize, scales_of_a_shape_that_is_not_known) {
    cr_shape y = infer_doubled(-1, NULL);
    cr_assert_eq(y.rank, -1);
    y = infer_doubled(4, (int64_t[]){CR_DIM_UNKNOWN, 3, CR_DIM_UNKNOWN, 5});
    cr_assert_eq(y.rank, 4);
    const int64_t expected[] = {CR_DIM_UNKNOWN, 3, CR_DIM_UNKNOWN, 10};
    for (int d = 0; d < 4; d++)
        cr_assert_eq(y.dims[d], expected[d], "axis %d: %lld", d, (long long)y.dims[d]);
}

Test(resize, scales_for_a_scalar_are_waited_for) {
    one o = one_begin("Resize", 13, 1);
    one_floats(&o, 7, SCALAR);
    one_skip(&o);
    one_input(&o, CREASE_FLOAT, 1, (int64_t[]){0});
    OK(cr_model_resolve(o.model));
    OK(cr_graph_infer(o.model->graph));
    cr_assert_eq(o.node->outputs[0]->shape.rank, -1);
    ONE_GIVES(&o, (SCALAR), 7);
}
