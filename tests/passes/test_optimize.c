#include "tests/passes/small.h"

Test(optimize, constants_and_noops_are_seen_through) {
    small s = small_begin(13, DIMS(1, 2, 3, 3));
    cr_value *w = small_node(&s, "Identity", "weights", IN(small_constant(&s, "w", -1, 1, DIMS(2, 2, 1, 1))));
    cr_value *y = small_node(&s, "Identity", "same", IN(small_node(&s, "Conv", "conv", IN(s.x, w))));
    small_output(&s, small_bn(&s, "bn", y, 2));
    small_expect(&s, "bn", "conv-bn");
}

/* Weights [4, 2, 1, 1] of a Conv, or the scale [4] of the BN behind it, made by nodes. */
static small made(int way) {
    small s = small_begin(13, DIMS(1, 2, 3, 3));
    cr_value *w = small_constant(&s, "w", -1, 1, DIMS(4, 2, 1, 1)), *gamma = NULL;
    if (way == 0) { /* an expression, reshaped */
        w = small_node(
            &s, "Mul", "product",
            IN(small_constant(&s, "a", -1, 1, DIMS(4, 2)), small_constant(&s, "b", 1, 2, DIMS(4, 1))));
        w = small_node(&s, "Reshape", "form", IN(w, small_ints(&s, "shape", 4, (int64_t[]){4, 2, 1, 1})));
    } else if (way == 1) {
        w = small_node(&s, "Cast", "widened", IN(w));
        OK(cr_node_set_int(small_find(&s, "widened"), "to", CREASE_FLOAT));
        w = small_node(&s, "Cast", "again", IN(w));
        OK(cr_node_set_int(small_find(&s, "again"), "to", CREASE_DOUBLE));
    } else {
        cr_tensor *value;
        cr_shape one = cr_shape_of(1, (int64_t[]){1});
        OK(CR_ARENA_NEW(&s.model->arena, &value, 1));
        OK(cr_tensor_create(s.heap, CREASE_DOUBLE, &one, value));
        *(double *)value->data = -1.5;
        gamma = small_node(&s, way == 2 ? "ConstantOfShape" : "Constant", "gamma", way == 2 ? 1 : 0,
                           (cr_value *[]){small_ints(&s, "n", 1, (int64_t[]){4})});
        OK(cr_node_set_attr(small_find(&s, "gamma"),
                            &(cr_attr){.name = "value", .type = CR_ATTR_TENSOR, .n = 1, .tensors = value}));
        cr_tensor held = *value; /* the node has its own reference */
        cr_tensor_release(&held);
        if (way == 3)
            gamma = small_node(&s, "Expand", "four", IN(gamma, small_ints(&s, "n", 1, (int64_t[]){4})));
    }
    cr_value *y = small_bn(&s, "bn", small_node(&s, "Conv", "conv", IN(s.x, w)), 4);
    if (gamma)
        OK(cr_node_set_input(small_find(&s, "bn"), 1, gamma));
    small_output(&s, y);
    return s;
}

Test(optimize, weights_and_parameters_that_nodes_make) {
    for (int way = 0; way < 4; way++) {
        small s = made(way);
        small_expect(&s, "bn", "conv-bn");
    }
}

Test(optimize, a_graph_output_keeps_its_name_behind_identity) {
    small s = small_begin(13, DIMS(1, 2, 3, 3));
    cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(2, 2, 1, 1))));
    small_output(&s, small_node(&s, "Identity", "last", IN(y)));
    small_fold_with(&s, NULL);
    cr_assert_eq(s.model->graph->n_nodes, 1);
    cr_assert_str_eq(s.model->graph->outputs[0]->name, "last_out");
    small_end(&s);
}

Test(optimize, every_bn_has_an_entry_dead_ones_too) {
    small s = small_begin(13, DIMS(1, 2, 3, 3));
    cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(2, 2, 1, 1))));
    small_bn(&s, "dead", s.x, 2);
    small_bn(&s, "fixed", small_constant(&s, "c", -1, 1, DIMS(1, 2)), 2);
    cr_value *fixed = small_find(&s, "fixed")->outputs[0];
    small_output(&s, small_bn(&s, "live", y, 2));
    small_output(&s, small_node(&s, "Relu", "relu", IN(fixed)));
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_eq(crease_fold_report_n_entries(s.report), 3);
    cr_assert_str_eq(small_entry(&s, "dead").reason, "unused");
    cr_assert_str_eq(small_entry(&s, "fixed").pattern, "constant");
    cr_assert_str_eq(small_entry(&s, "live").pattern, "conv-bn");
    small_end(&s);
}

Test(optimize, entries_follow_the_file) {
    small s = small_begin(13, DIMS(1, 2, 3, 3));
    cr_value *y = small_bn(&s, "first", small_node(&s, "Relu", "relu", IN(s.x)), 2);
    y = small_node(&s, "Sigmoid", "sigmoid", IN(y));
    y = small_node(&s, "Conv", "conv", IN(y, small_constant(&s, "w", -1, 1, DIMS(2, 2, 1, 1))));
    small_output(&s, small_bn(&s, "second", y, 2));
    OK(cr_optimize_fold(s.model, NULL, s.report));
    crease_fold_entry e = {.struct_size = sizeof e};
    cr_assert(crease_fold_report_entry_at(s.report, 0, &e));
    cr_assert_str_eq(e.name, "first");
    cr_assert(crease_fold_report_entry_at(s.report, 1, &e));
    cr_assert_str_eq(e.name, "second");
    cr_assert_not(crease_fold_report_entry_at(s.report, 2, &e));
    small_end(&s);
}

Test(optimize, bodies_are_folded) {
    small s = small_begin(13, DIMS(1, 2, 3, 3));
    cr_value *yes = small_node(&s, "Cast", "yes", IN(small_node(&s, "ReduceMax", "top", IN(s.x))));
    cr_value *out = small_node(&s, "If", "if", IN(yes));
    cr_graph *body, *other, **bodies;
    cr_node *owner = small_find(&s, "if"), *conv, *bn;
    cr_value *y, *z;
    OK(cr_node_set_int(small_find(&s, "yes"), "to", CREASE_BOOL));
    OK(cr_node_set_int(small_find(&s, "top"), "keepdims", 0));
    OK(cr_graph_create(s.model, owner, &body));
    OK(cr_graph_add_value(body, "y", true, &y));
    OK(cr_graph_add_value(body, "z", true, &z));
    OK(cr_graph_add_node(body, NULL, "Conv", "", "inner",
                         (cr_value *[]){s.x, small_constant(&s, "w", -1, 1, DIMS(2, 2, 1, 1))}, 2, &y, 1,
                         &conv));
    cr_value *in[5] = {y};
    for (int i = 1; i < 5; i++)
        in[i] = small_constant(&s, "p", 0.5, 1, DIMS(2));
    OK(cr_graph_add_node(body, NULL, "BatchNormalization", "", "bn", in, 5, &z, 1, &bn));
    OK(cr_graph_add_output(body, z));
    OK(cr_graph_create(s.model, owner, &other));
    OK(cr_graph_add_value(other, "n", true, &y));
    OK(cr_graph_add_node(other, NULL, "Neg", "", "neg", &s.x, 1, &y, 1, &conv));
    OK(cr_graph_add_output(other, y));
    OK(CR_ARENA_NEW(&s.model->arena, &bodies, 2));
    bodies[0] = body;
    bodies[1] = other;
    for (int i = 0; i < 2; i++)
        OK(cr_node_set_attr(owner, &(cr_attr){.name = i ? "else_branch" : "then_branch",
                                              .type = CR_ATTR_GRAPH,
                                              .n = 1,
                                              .graphs = &bodies[i]}));
    small_output(&s, out);
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_str_eq(small_entry(&s, "bn").pattern, "conv-bn");
    cr_assert_eq(body->n_nodes, 1);
    cr_assert_eq(body->outputs[0], z);
    small_end(&s);
}

/* 2^22 elements and some more: computed where the file holds as many already, and not where it would grow. */
Test(optimize, large_constants) {
    for (int grows = 0; grows < 2; grows++) {
        small s = small_begin(13, DIMS(1, 64, 1, 1));
        const int64_t dims[] = {65537, 64, 1, 1};
        cr_value *w =
            grows ? small_node(&s, "Expand", "made",
                               IN(small_constant(&s, "w", -1, 1, DIMS(1)), small_ints(&s, "shape", 4, dims)))
                  : small_node(&s, "Neg", "made", IN(small_constant(&s, "w", -1, 1, 4, dims)));
        small_output(&s, small_node(&s, "Conv", "conv", IN(s.x, w)));
        OK(cr_model_resolve(s.model));
        OK(cr_graph_infer(s.model->graph));
        OK(cr_optimize_fold(s.model, NULL, s.report));
        cr_assert_eq(s.model->graph->n_nodes, grows ? 2 : 1);
        small_end(&s);
    }
}
