#include "tests/body.h"
#include "tests/passes/small.h"

/* Identity and Dropout: what goes and what stays. */

static cr_value *boolean(small *s, bool value) {
    cr_shape shape = {0};
    cr_value *v;
    cr_tensor *t;
    OK(cr_graph_new_constant(s->model->graph, "mode", CREASE_BOOL, &shape, &v, &t));
    *(uint8_t *)t->data = value;
    return v;
}

/* How many nodes are left of relu -> op -> relu. */
static int left(small *s) {
    OK(cr_model_resolve(s->model));
    OK(cr_graph_infer(s->model->graph));
    OK(cr_pass_drop_noops(s->model));
    int n = s->model->graph->n_nodes;
    small_end(s);
    return n;
}

static small between(int64_t opset, const char *op, int n, cr_value *const *more) {
    small s = small_begin(opset, DIMS(2, 3));
    cr_value *in[4] = {small_node(&s, "Relu", "first", IN(s.x))};
    for (int i = 0; i < n; i++)
        in[i + 1] = more[i];
    small_output(&s, small_node(&s, "Relu", "last", IN(small_node(&s, op, "op", n + 1, in))));
    return s;
}

static small dropout(int64_t opset) {
    return between(opset, "Dropout", 0, NULL);
}

Test(drop_noops, identity_and_dropout_go) {
    small s = between(13, "Identity", 0, NULL);
    cr_assert_eq(left(&s), 2);
    s = dropout(13);
    cr_assert_eq(left(&s), 2);
    s = dropout(7);
    cr_assert_eq(left(&s), 2);
    s = between(13, "Relu", 0, NULL);
    cr_assert_eq(left(&s), 3);
}

Test(drop_noops, before_opset_7_an_attribute_decides) {
    for (int is_test = 0; is_test < 3; is_test++) {
        small s = dropout(6);
        if (is_test < 2)
            OK(cr_node_set_int(small_find(&s, "op"), "is_test", is_test));
        cr_assert_eq(left(&s), is_test == 1 ? 2 : 3);
    }
    small s = dropout(6);
    OK(cr_node_set_float(small_find(&s, "op"), "is_test", 1));
    cr_assert_eq(left(&s), 3);
    s = dropout(7); /* where it means nothing */
    OK(cr_node_set_int(small_find(&s, "op"), "is_test", 0));
    cr_assert_eq(left(&s), 2);
}

/* From opset 12 on an input decides, when it is known. */
Test(drop_noops, training_mode_input) {
    for (int training = 0; training < 2; training++) {
        small s = dropout(13);
        OK(cr_node_set_input(small_find(&s, "op"), 2, boolean(&s, training)));
        cr_assert_eq(left(&s), training ? 3 : 2);
    }
    small s = dropout(13);
    cr_value *mode;
    OK(cr_graph_add_value(s.model->graph, "mode", true, &mode));
    mode->dtype = CREASE_BOOL;
    mode->shape = cr_shape_of(0, NULL);
    OK(cr_graph_add_input(s.model->graph, mode));
    OK(cr_node_set_input(small_find(&s, "op"), 2, mode));
    cr_assert_eq(left(&s), 3);
}

Test(drop_noops, a_mask_that_is_used) {
    for (int how = 0; how < 3; how++) { /* 0: nobody uses it */
        small s = small_begin(13, DIMS(2, 3));
        cr_value *out[2], *x = small_node(&s, "Relu", "first", IN(s.x));
        cr_node *node;
        OK(cr_graph_add_value(s.model->graph, "y", true, &out[0]));
        OK(cr_graph_add_value(s.model->graph, "mask", true, &out[1]));
        OK(cr_graph_add_node(s.model->graph, NULL, "Dropout", "", "op", &x, 1, out, 2, &node));
        small_output(&s, small_node(&s, "Relu", "last", IN(out[0])));
        if (how == 1)
            small_output(&s, out[1]);
        if (how == 2)
            small_output(&s, small_node(&s, "Not", "not", IN(out[1])));
        cr_assert_eq(left(&s), how == 0 ? 2 : how == 1 ? 3 : 4);
    }
}

/* A graph output must stay an output of its own, made by a node. */
Test(drop_noops, graph_outputs) {
    small s = small_begin(13, DIMS(2, 3));
    small_output(&s, small_node(&s, "Identity", "id", IN(s.x)));
    cr_assert_eq(left(&s), 1, "an input is no output");
    s = small_begin(13, DIMS(2, 3));
    small_output(&s, small_node(&s, "Identity", "id", IN(small_constant(&s, "c", 0, 1, DIMS(2)))));
    cr_assert_eq(left(&s), 1, "a constant is no output");
    s = small_begin(13, DIMS(2, 3));
    cr_value *y = small_node(&s, "Relu", "relu", IN(s.x));
    small_output(&s, y);
    small_output(&s, small_node(&s, "Identity", "id", IN(y)));
    cr_assert_eq(left(&s), 2, "one value is not two outputs");
    s = small_begin(13, DIMS(2, 3));
    small_output(&s, small_node(&s, "Identity", "id", IN(small_node(&s, "Relu", "relu", IN(s.x)))));
    cr_assert_eq(left(&s), 1);
}

Test(drop_noops, a_declared_type_or_shape_that_differs) {
    small s = between(13, "Identity", 0, NULL);
    OK(cr_model_resolve(s.model));
    OK(cr_graph_infer(s.model->graph));
    small_find(&s, "op")->outputs[0]->dtype = CREASE_FLOAT;
    OK(cr_pass_drop_noops(s.model));
    cr_assert_eq(s.model->graph->n_nodes, 3);
    small_find(&s, "op")->outputs[0]->dtype = CREASE_DOUBLE;
    small_find(&s, "op")->outputs[0]->shape.dims[1] = 4;
    OK(cr_pass_drop_noops(s.model));
    cr_assert_eq(s.model->graph->n_nodes, 3);
    small_find(&s, "op")->outputs[0]->shape = cr_shape_unknown(); /* contradicts nothing */
    small_find(&s, "op")->outputs[0]->dtype = CREASE_UNDEFINED;
    OK(cr_pass_drop_noops(s.model));
    cr_assert_eq(s.model->graph->n_nodes, 2);
    small_end(&s);
}

Test(drop_noops, sequences_stay) {
    small s = between(16, "Identity", 0, NULL);
    OK(cr_model_resolve(s.model));
    OK(cr_graph_infer(s.model->graph));
    for (int side = 0; side < 2; side++) {
        cr_value *v = side ? small_find(&s, "op")->outputs[0] : small_find(&s, "op")->inputs[0];
        v->kind = CR_KIND_SEQUENCE;
        OK(cr_pass_drop_noops(s.model));
        cr_assert_eq(s.model->graph->n_nodes, 3);
        v->kind = CR_KIND_TENSOR;
    }
    small_end(&s);
}

Test(drop_noops, nodes_without_input_or_output) {
    small s = between(13, "Identity", 0, NULL);
    small_find(&s, "op")->inputs[0] = NULL;
    OK(cr_pass_drop_noops(s.model));
    cr_assert_eq(s.model->graph->n_nodes, 3);
    small_find(&s, "op")->n_outputs = 0;
    OK(cr_pass_drop_noops(s.model));
    cr_assert_eq(s.model->graph->n_nodes, 3);
    small_end(&s);
}

/* A mask may be left out by an empty name; what is dropped may begin at an input of the graph. */
Test(drop_noops, a_dropout_of_the_input_without_a_mask) {
    small s = small_begin(13, DIMS(2));
    cr_value *out[2] = {NULL, NULL};
    cr_node *node;
    OK(cr_graph_add_value(s.model->graph, "y", true, &out[0]));
    OK(cr_graph_add_node(s.model->graph, NULL, "Dropout", "", "drop", &s.x, 1, out, 2, &node));
    small_output(&s, small_node(&s, "Relu", "relu", IN(out[0])));
    OK(cr_model_resolve(s.model));
    OK(cr_graph_infer(s.model->graph));
    OK(cr_pass_drop_noops(s.model));
    cr_assert_eq(small_find(&s, "relu")->inputs[0], s.x);
    cr_assert_eq(small_count(&s, "Dropout"), 0);
    small_end(&s);
}

/* A type that is not known is no other one. */
Test(drop_noops, unknown_types_do_not_differ) {
    for (int which = 0; which < 3; which++) {
        small s = between(13, "Identity", 0, NULL);
        OK(cr_model_resolve(s.model));
        small_find(&s, "first")->outputs[0]->dtype = which == 0 ? 0 : CREASE_FLOAT;
        small_find(&s, "op")->outputs[0]->dtype = which == 1 ? 0 : which == 2 ? CREASE_DOUBLE : CREASE_FLOAT;
        OK(cr_pass_drop_noops(s.model));
        cr_assert_eq(s.model->graph->n_nodes, which == 2 ? 3 : 2);
        small_end(&s);
    }
}

/* A body cannot hand out what stands outside of it. */
Test(drop_noops, the_result_of_a_body_stays_its_own) {
    small s = small_begin(13, DIMS(2));
    cr_value *outer = small_node(&s, "Relu", "first", IN(s.x)), *y;
    cr_node *node;
    small_output(&s, small_node(&s, "If", "if", IN(s.x)));
    cr_graph *body = body_of(small_find(&s, "if"), "then_branch");
    OK(cr_graph_add_value(body, "y", true, &y));
    OK(cr_graph_add_node(body, NULL, "Identity", "", "same", &outer, 1, &y, 1, &node));
    OK(cr_graph_add_output(body, y));
    OK(cr_model_resolve(s.model));
    OK(cr_pass_drop_noops(s.model));
    cr_assert_eq(body->n_nodes, 1);
    small_end(&s);
}
