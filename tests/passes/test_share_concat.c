#include "tests/passes/net.h"

static cr_value *join(net *n, int count, cr_value **parts, int64_t axis) {
    return net_node_int(n, "Concat", count, parts, "axis", axis);
}

Test(share_concat, the_longer_begins_with_the_shorter) {
    net n = net_begin(13, DIMS(1, 4, 3, 3));
    cr_value *a = net_node(&n, "Relu", IN(n.x)), *b = net_node(&n, "Tanh", IN(n.x));
    cr_value *ab = join(&n, 2, (cr_value *[]){a, b}, 1);
    cr_value *abx = join(&n, 3, (cr_value *[]){a, b, n.x}, -3);
    cr_value *abxa = join(&n, 4, (cr_value *[]){a, b, n.x, a}, 1);
    net_output(&n, ab);
    net_output(&n, abxa);
    OK(cr_pass_share_concat(n.ir->graph));
    OK(cr_model_verify(n.ir));
    cr_assert(abx->producer->n_inputs == 2 && abx->producer->inputs[0] == ab);
    cr_assert(abxa->producer->n_inputs == 2 && abxa->producer->inputs[0] == abx);
    cr_assert_eq(abxa->producer->inputs[1], a);
    const crease_options o = net_options();
    crease_model *model = net_publish(&n);
    crease_session_free(net_lower(model, &o));
    crease_model_free(model);
}

Test(share_concat, not_other_axes_orders_or_one_input) {
    net n = net_begin(13, DIMS(1, 4, 3, 3));
    cr_value *a = net_node(&n, "Relu", IN(n.x)), *b = net_node(&n, "Tanh", IN(n.x));
    cr_value *one = join(&n, 1, &a, 1), *ba = join(&n, 2, (cr_value *[]){b, a}, 1);
    cr_value *down = join(&n, 2, (cr_value *[]){a, b}, 2), *abx = join(&n, 3, (cr_value *[]){a, b, n.x}, 1);
    cr_value *outputs[] = {one, ba, down, abx};
    for (int i = 0; i < 4; i++)
        net_output(&n, outputs[i]);
    OK(cr_pass_share_concat(n.ir->graph));
    cr_assert_eq(abx->producer->n_inputs, 3);
    cr_model_destroy(n.ir);
    cr_heap_release(n.heap);
}
