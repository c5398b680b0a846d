#include "tests/passes/net.h"

/* A session against one that keeps every value in memory of its own. */
static void expect_same(net *n) {
    crease_session *shared, *apart;
    cr_shape shapes[4];
    crease_model *model = net_publish(n);
    crease_options o = net_plain();
    OK(crease_session_create(model, &o, &shared));
    o.keep_all = true;
    OK(crease_session_create(model, &o, &apart));
    net_shapes(model, shapes);
    net_result a = net_run(shared, model, shapes, 3), b = net_run(apart, model, shapes, 3);
    cr_assert(a.n == b.n && memcmp(a.values, b.values, (size_t)a.n * sizeof *a.values) == 0);
    free(a.values);
    free(b.values);
    crease_session_free(shared);
    crease_session_free(apart);
    crease_model_free(model);
}

/* The first part of x is read for every channel, so the sum must not overwrite x. */
Test(aliases, a_part_and_its_whole) {
    for (int first = 0; first < 2; first++) {
        cr_value *parts[2];
        net n = net_begin(13, DIMS(1, 3, 4, 4));
        cr_value *x = net_node(&n, "Relu", IN(n.x));
        cr_value *inputs[] = {x, net_ints(&n, 2, first ? (int64_t[]){2, 1} : (int64_t[]){1, 2})};
        OK(cr_node_set_int(net_add(&n, "Split", 2, inputs, 2, parts), "axis", 1));
        net_infer(&n);
        net_output(&n, net_node(&n, "Mul", IN(net_node(&n, "Add", IN(x, parts[first])), net_scalar(&n, 2))));
        expect_same(&n);
    }
}

Test(aliases, a_value_with_itself) {
    net n = net_begin(13, DIMS(1, 3, 4, 4));
    cr_value *x = net_node(&n, "Relu", IN(n.x));
    net_output(&n, net_node(&n, "Mul", IN(x, x)));
    expect_same(&n);
}
