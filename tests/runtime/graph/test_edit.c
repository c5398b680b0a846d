#include "tests/runtime/graph/chain.h"

TestSuite(edit, .init = sketch_open, .fini = sketch_close);

Test(edit, nodes_know_their_values_and_values_their_uses) {
    chain();
    cr_assert_eq(r->producer, relu);
    cr_assert_eq(r->n_uses, 1);
    cr_assert_eq(r->uses[0].node, neg);
    cr_assert_eq(model->graph->n_nodes, 2);
    cr_assert(cr_value_has_one_use(r));
    cr_assert_not(cr_value_has_one_use(y));
}

Test(edit, a_value_has_one_producer) {
    chain();
    cr_node *node;
    REFUSED(cr_graph_add_node(model->graph, NULL, "Abs", "", "again", &x, 1, &r, 1, &node),
            "'r' is already defined");
    cr_assert_null(node);
    REFUSED(cr_graph_add_node(model->graph, NULL, "Abs", "", "again", &r, 1, &x, 1, &node),
            "'x' is already defined");
    OK(cr_model_verify(model));
    cr_assert_eq(model->graph->n_nodes, 2);
}

Test(edit, inputs_move_from_one_value_to_another) {
    chain();
    OK(cr_node_set_input(neg, 0, x));
    cr_assert_eq(r->n_uses, 0);
    cr_assert_eq(x->n_uses, 2);
    OK(cr_node_set_input(neg, 0, x)); /* the same again */
    cr_assert_eq(x->n_uses, 2);
    OK(cr_node_set_input(neg, 3, r)); /* extends */
    cr_assert_eq(neg->n_inputs, 4);
    cr_assert_null(neg->inputs[1]);
    OK(cr_node_set_input(neg, 3, NULL));
    cr_assert_eq(r->n_uses, 0);
    OK(cr_model_verify(model));
}

Test(edit, used_nodes_stay) {
    chain();
    REFUSED(cr_node_remove(relu), "'r' is used");
    REFUSED(cr_node_remove(neg), "'y' is used");
    cr_assert_str_eq(sketch_order(model->graph), "Relu Neg");
    OK(cr_node_set_input(neg, 0, x));
    OK(cr_node_remove(relu));
    cr_assert_null(r->producer);
    cr_assert_eq(x->n_uses, 1);
    cr_assert_str_eq(sketch_order(model->graph), "Neg");
    OK(cr_model_verify(model));
}

Test(edit, nodes_move) {
    chain();
    cr_node_move_before(neg, relu);
    cr_assert_str_eq(sketch_order(model->graph), "Neg Relu");
    cr_assert_eq(cr_model_verify(model), CREASE_ERROR_MODEL);
    cr_node_move_before(neg, neg);
    cr_node_move_before(neg, NULL);
    cr_assert_str_eq(sketch_order(model->graph), "Relu Neg");
    OK(cr_model_verify(model));
}

/* ---- replacing ---- */

Test(edit, replacing_moves_all_uses) {
    chain();
    cr_value *z = sketch_value(model->graph, "z");
    sketch_node(model->graph, "Add", z, r, r);
    OK(cr_value_replace(r, x));
    cr_assert_eq(r->n_uses, 0);
    cr_assert_eq(x->n_uses, 4);
    OK(cr_value_replace(x, x));
    cr_assert_eq(x->n_uses, 4);
    OK(cr_model_verify(model));
}

Test(edit, a_graph_output_keeps_its_name) {
    chain();
    OK(cr_value_replace(y, r));
    cr_assert_eq(model->graph->outputs[0], r);
    cr_assert_str_eq(r->name, "y");
    cr_assert_eq(r->n_outputs, 1);
    cr_assert_eq(y->n_outputs, 0);
    OK(cr_node_remove(neg));
    OK(cr_model_verify(model));
}

Test(edit, replacing_refuses_what_would_change_the_model) {
    chain();
    cr_value *other = sketch_value(model->graph, "other");
    sketch_node(model->graph, "Abs", other, x, NULL);
    REFUSED(cr_value_replace(y, x), "'y' cannot be replaced by 'x'"); /* an input */
    OK(cr_graph_add_output(model->graph, other));
    REFUSED(cr_value_replace(y, other), "'y' cannot be replaced"); /* another output */
    r->shape = cr_shape_of(2, (int64_t[]){2, 3});
    other->shape = cr_shape_of(2, (int64_t[]){2, 4});
    REFUSED(cr_value_replace(r, other), "shapes differ");
    other->shape = cr_shape_of(2, (int64_t[]){2, CR_DIM_UNKNOWN});
    other->dtype = CREASE_DOUBLE;
    REFUSED(cr_value_replace(r, other), "float64");
    cr_assert_eq(r->n_uses, 1);
    OK(cr_model_verify(model));
}

Test(edit, taking_over_keeps_the_last_name) {
    chain();
    OK(cr_node_take_over(relu, 0, neg));
    cr_assert_str_eq(sketch_order(model->graph), "Relu");
    cr_assert_eq(relu->outputs[0], y);
    cr_assert_eq(y->producer, relu);
    cr_assert_eq(model->graph->n_nodes, 1);
    OK(cr_model_verify(model));
}

Test(edit, taking_over_refuses_a_value_that_others_use) {
    chain();
    cr_value *z = sketch_value(model->graph, "z");
    sketch_node(model->graph, "Abs", z, r, NULL);
    REFUSED(cr_node_take_over(relu, 0, neg), "cannot take over");
    cr_assert_str_eq(sketch_order(model->graph), "Relu Neg Abs");
    OK(cr_model_verify(model));
}

Test(edit, taking_over_refuses_another_type) {
    chain();
    y->dtype = CREASE_INT32;
    REFUSED(cr_node_take_over(relu, 0, neg), "types differ");
    OK(cr_model_verify(model));
}

/* ---- names, inputs, outputs ---- */

Test(edit, new_names_are_unique) {
    cr_value *a, *b, *c, *d;
    OK(cr_graph_add_value(model->graph, "v", true, &a));
    OK(cr_graph_add_value(model->graph, "v", true, &b));
    OK(cr_graph_add_value(model->graph, "v", true, &c));
    OK(cr_graph_add_value(model->graph, NULL, true, &d));
    cr_assert_str_eq(a->name, "v");
    cr_assert_str_eq(b->name, "v_2");
    cr_assert_str_eq(c->name, "v_3");
    cr_assert(d->name[0]);
    cr_assert_eq(model->values[c->id], c);
}

Test(edit, very_long_names_stay_apart) {
    char name[4096];
    cr_value *a, *b;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    OK(cr_graph_add_value(model->graph, name, true, &a));
    OK(cr_graph_add_value(model->graph, name, true, &b));
    cr_assert_str_eq(a->name, name);
    cr_assert_str_neq(a->name, b->name);
}

Test(edit, inputs_and_outputs) {
    chain();
    cr_value *second = sketch_input(model->graph, "second");
    cr_assert_eq(model->graph->n_inputs, 2);
    cr_graph_remove_input(model->graph, x);
    cr_assert_eq(model->graph->n_inputs, 1);
    cr_assert_eq(model->graph->inputs[0], second);
    cr_assert_not(x->is_input);
    REFUSED(cr_model_verify(model), "'x' is not defined");
    OK(cr_graph_add_output(model->graph, y));
    cr_assert_eq(y->n_outputs, 2);
}

Test(edit, one_more_output) {
    chain();
    cr_value *more = sketch_value(model->graph, "more");
    OK(cr_node_add_output(relu, more));
    cr_assert_eq(relu->n_outputs, 2);
    cr_assert_eq(relu->outputs[1], more);
    cr_assert_eq(more->producer_output, 1);
    OK(cr_model_verify(model));
    REFUSED(cr_node_add_output(neg, more), "cannot give 'more'"); /* it has a producer */
    REFUSED(cr_node_add_output(neg, x), "cannot give 'x'");       /* an input */
}

Test(edit, constants_hold_their_buffer) {
    cr_value *value;
    cr_tensor *tensor, four;
    const cr_shape shape = cr_shape_of(1, (int64_t[]){4});
    OK(cr_graph_new_constant(model->graph, "k", CREASE_FLOAT, &shape, &value, &tensor));
    cr_assert_eq(value->constant, tensor);
    cr_assert_eq(value->dtype, CREASE_FLOAT);
    OK(cr_tensor_create(heap, CREASE_INT64, &shape, &four));
    ((int64_t *)four.data)[3] = 42;
    OK(cr_graph_add_constant(model->graph, "k", &four, &value));
    cr_tensor_release(&four);
    cr_assert_str_eq(value->name, "k_2");
    cr_assert_eq(cr_tensor_int(value->constant, 3), 42);
}

Test(edit, opsets_symbols_and_properties_are_found_again) {
    int64_t a, b, again;
    OK(cr_model_symbol(model, "batch", &a));
    OK(cr_model_symbol(model, "height", &b));
    OK(cr_model_symbol(model, "batch", &again));
    cr_assert(a <= CR_DIM_FIRST_SYMBOL && b <= CR_DIM_FIRST_SYMBOL && a != b && a == again);
    OK(cr_model_set_opset(model, "", 11));
    OK(cr_model_set_opset(model, "own", 1));
    OK(cr_model_set_opset(model, "", 13));
    cr_assert_eq(cr_model_opset(model, ""), 13);
    cr_assert_eq(cr_model_opset(model, "none"), 0);
    OK(cr_model_set_property(model, "k", "1"));
    OK(cr_model_set_property(model, "k", "2"));
    cr_assert_eq(model->n_properties, 1);
    cr_assert_str_eq(model->properties[0].value, "2");
}

/* ---- attributes ---- */

Test(edit, attributes_are_replaced_and_removed) {
    chain();
    OK(cr_node_set_int(relu, "axis", 1));
    OK(cr_node_set_ints(relu, "pads", (int64_t[]){1, 2, 3}, 3));
    OK(cr_node_set_string(relu, "mode", "edge"));
    OK(cr_node_set_float(relu, "alpha", 0.5F));
    OK(cr_node_set_floats(relu, "scales", (float[]){1, 2}, 2)); /* more than the first array holds */
    OK(cr_node_set_int(relu, "axis", -1));
    cr_assert_eq(relu->n_attrs, 5);
    cr_assert_eq(relu->attrs[0].ints[0], -1);
    cr_node_remove_attr(relu, "pads");
    cr_node_remove_attr(relu, "pads");
    cr_assert_eq(relu->n_attrs, 4);
}

/* ---- dead nodes ---- */

Test(edit, dead_nodes_go_in_one_sweep) {
    chain();
    cr_value *a = sketch_value(model->graph, "a"), *b = sketch_value(model->graph, "b");
    sketch_node(model->graph, "Abs", a, r, NULL);
    cr_node *owner = sketch_node(model->graph, "If", b, a, NULL);
    cr_value *inner = sketch_value(body_of(owner, "body"), "inner");
    sketch_node(inner->graph, "Exp", inner, r, NULL); /* uses r from inside: goes with its node */
    OK(cr_graph_add_output(inner->graph, inner));
    cr_assert_eq(r->n_uses, 3);
    OK(cr_model_drop_dead(model));
    cr_assert_str_eq(sketch_order(model->graph), "Relu Neg");
    cr_assert_eq(r->n_uses, 1);
    OK(cr_model_verify(model));
}

/* ---- clones ---- */

static void everything(void) {
    chain();
    OK(cr_model_set_opset(model, "", 13));
    OK(cr_model_symbol(model, "batch", &x->shape.dims[0]));
    x->shape.rank = 1;
    OK(cr_node_set_ints(relu, "pads", (int64_t[]){1, 2}, 2));
    OK(cr_node_set_string(relu, "mode", "edge"));
    cr_value *k, *z = sketch_value(model->graph, "z");
    cr_tensor *tensor;
    const cr_shape two = cr_shape_of(1, (int64_t[]){2});
    OK(cr_graph_new_constant(model->graph, "k", CREASE_FLOAT, &two, &k, &tensor));
    memset(tensor->data, 0, 8);
    cr_node *owner = sketch_node(model->graph, "If", z, x, k);
    cr_value *inner = sketch_value(body_of(owner, "body"), "inner");
    sketch_node(inner->graph, "Add", inner, r, k);
    OK(cr_graph_add_output(inner->graph, inner));
    OK(cr_graph_add_output(model->graph, z));
    OK(cr_model_verify(model));
}

Test(edit, a_clone_is_whole_and_shares_tensors_only) {
    everything();
    cr_model *copy;
    OK(cr_model_clone(model, heap, &copy));
    OK(cr_model_verify(copy));
    cr_assert_str_eq(sketch_order(copy->graph), "Relu Neg If");
    cr_assert_eq(copy->n_values, model->n_values);
    for (int i = 0; i < model->n_values; i++) {
        const cr_value *a = model->values[i], *b = copy->values[i];
        cr_assert_neq(a, b);
        cr_assert_neq(a->name, b->name);
        cr_assert_str_eq(a->name, b->name);
        cr_assert_eq(a->n_uses, b->n_uses);
        cr_assert(cr_shape_equal(&a->shape, &b->shape));
        cr_assert_eq(a->constant ? a->constant->data : NULL, b->constant ? b->constant->data : NULL);
        cr_assert_eq(b->graph->model, copy);
    }
    const int id = relu->id;
    cr_model_destroy(model);
    OK(cr_model_verify(copy)); /* nothing of it lay in the original */
    cr_assert_str_eq(copy->nodes[id]->attrs[1].strings[0].data, "edge");
    model = copy;
}

/* What stood in the body of a node that went is still there by its id, and can be forgotten. */
Test(edit, a_clone_of_a_removed_body) {
    everything();
    cr_graph *body = model->graph->last->attrs[0].graphs[0];
    cr_value *k;
    cr_tensor *tensor;
    const cr_shape one = cr_shape_of(0, NULL);
    OK(cr_graph_new_constant(body, "inner.k", CREASE_FLOAT, &one, &k, &tensor));
    cr_model *copy, *again;
    OK(cr_model_clone(model, heap, &copy));
    copy->graph->outputs[copy->graph->n_outputs - 1]->n_outputs = 0; /* of the If */
    copy->graph->n_outputs--;
    OK(cr_model_drop_dead(copy));
    cr_assert_str_eq(sketch_order(copy->graph), "Relu Neg");
    OK(cr_model_clone(copy, heap, &again));
    for (int i = 0; i < again->n_values; i++)
        cr_value_forget(again->values[i]);
    cr_assert_null(again->values[k->id]->constant->data);
    cr_model_destroy(again);
    cr_model_destroy(copy);
}

Test(edit, changing_a_clone_leaves_the_original) {
    everything();
    cr_model *copy;
    OK(cr_model_clone(model, heap, &copy));
    OK(cr_value_replace(copy->values[r->id], copy->values[x->id]));
    OK(cr_node_set_ints(copy->nodes[relu->id], "pads", (int64_t[]){9}, 1));
    OK(cr_model_drop_dead(copy));
    cr_assert_str_eq(sketch_order(copy->graph), "Neg If");
    cr_model_destroy(copy);
    cr_assert_str_eq(sketch_order(model->graph), "Relu Neg If");
    cr_assert_eq(relu->attrs[0].n, 2);
    OK(cr_model_verify(model));
}
