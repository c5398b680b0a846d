#include "tests/runtime/graph/sketch.h"

TestSuite(expand, .init = sketch_open, .fini = sketch_close);

static cr_copies copies;

static void forget_copies(void) {
    cr_free(heap, copies.list);
    copies = (cr_copies){0};
}

/* y = Loop(x), whose body of input i gives a = Add(i, outer), b = Mul(a, constant). */
static cr_node *owner;
static cr_graph *body;
static cr_value *x, *outer, *y, *i, *a, *b, *constant;

static void make_body(void) {
    static float two = 2;
    cr_tensor t = {.dtype = CREASE_FLOAT, .data = &two};
    x = sketch_input(model->graph, "x");
    outer = sketch_value(model->graph, "outer");
    y = sketch_value(model->graph, "y");
    sketch_node(model->graph, "Exp", outer, x, NULL);
    owner = sketch_node(model->graph, "Loop", y, x, NULL);
    OK(cr_graph_add_output(model->graph, y));
    body = body_of(owner, "body");
    i = sketch_input(body, "i");
    a = sketch_value(body, "a");
    b = sketch_value(body, "b");
    OK(cr_graph_add_constant(body, "two", &t, &constant));
    sketch_node(body, "Add", a, i, outer);
    cr_node *mul = sketch_node(body, "Mul", b, a, constant);
    OK(cr_node_set_int(mul, "number", 7));
    OK(cr_graph_add_output(body, b));
}

Test(expand, nodes_come_before_their_owner_and_use_what_they_are_given) {
    cr_value *given[1], *again[1];
    make_body();
    OK(cr_graph_expand(body, owner, &copies, &outer, given));
    OK(cr_graph_expand(body, owner, &copies, given, again));
    cr_assert_str_eq(sketch_order(model->graph), "Exp Add Mul Add Mul Loop");
    OK(cr_model_verify(model));
    cr_assert_str_eq(sketch_order(body), "Add Mul");
    const cr_node *mul = again[0]->producer, *add = mul->inputs[0]->producer;
    cr_assert_eq(add->inputs[0], given[0]);
    cr_assert_eq(add->inputs[1], outer);
    cr_assert_str_eq(mul->name, "b/2");
    cr_assert_str_eq(again[0]->name, "b/2");
    cr_assert_eq(mul->attrs[0].ints[0], 7);
    cr_assert_eq(mul->op, body->last->op);
    cr_assert_eq(again[0]->dtype, CREASE_FLOAT);
    cr_assert_eq(mul->inputs[1]->graph, model->graph, "a constant of the body is none of the graph");
    cr_assert_eq(mul->inputs[1], given[0]->producer->inputs[1], "one copy of a constant is enough");
    forget_copies();
}

/* What a body hands through, and constants that it gives. */
Test(expand, outputs_that_no_node_makes) {
    cr_value *given[4];
    make_body();
    OK(cr_graph_add_output(body, i));
    OK(cr_graph_add_output(body, constant));
    OK(cr_graph_add_output(body, outer));
    OK(cr_graph_expand(body, owner, &copies, &x, given));
    cr_assert_eq(given[1], x);
    cr_assert_eq(given[2]->graph, model->graph);
    cr_assert_eq(*(const float *)given[2]->constant->data, 2);
    cr_assert_eq(given[3], outer);
    forget_copies();
}

Test(expand, bodies_in_the_body_are_copied_whole) {
    cr_value *given[2][1];
    make_body();
    cr_value *c = sketch_value(body, "c");
    cr_graph *inner = body_of(sketch_node(body, "If", c, a, NULL), "body");
    cr_value *k = sketch_input(inner, "k"), *d = sketch_value(inner, "d"), *own;
    k->shape = cr_shape_of(1, (int64_t[]){5});
    OK(cr_graph_add_constant(inner, "own", constant->constant, &own));
    OK(cr_graph_add_node(inner, NULL, "Sum", "", "sum", (cr_value *[]){a, k, outer, own, NULL}, 5, &d, 1,
                         &(cr_node *){NULL}));
    OK(cr_graph_add_output(inner, d));
    for (int n = 0; n < 2; n++)
        OK(cr_graph_expand(body, owner, &copies, &x, given[n]));
    OK(cr_model_verify(model));
    for (int n = 0; n < 2; n++) {
        const cr_node *copy = given[n][0]->producer->next;
        const cr_graph *graph = copy->attrs[0].graphs[0];
        const cr_node *sum = graph->first;
        cr_assert_str_eq(copy->op_type, "If");
        cr_assert_eq(graph->owner, copy);
        cr_assert_eq(sum->inputs[0], copy->inputs[0], "a of this run");
        cr_assert_eq(sum->inputs[1], graph->inputs[0]);
        cr_assert_eq(graph->inputs[0]->shape.dims[0], 5);
        cr_assert_eq(sum->inputs[2], outer);
        cr_assert_eq(sum->inputs[3]->graph, graph, "constants of inner bodies stay in them");
        cr_assert_null(sum->inputs[4]);
        cr_assert_eq(graph->outputs[0], sum->outputs[0]);
    }
    forget_copies();
}

/* Names that are taken are not taken again, and leave no trace. */
Test(expand, names_stay_apart) {
    cr_value *given[1];
    make_body();
    sketch_input(model->graph, "b/1");
    OK(cr_graph_expand(body, owner, &copies, &x, given));
    cr_assert_str_eq(given[0]->name, "b/1_2");
    forget_copies();
}

/* What was written out is like everything else. */
Test(expand, the_result_can_be_cloned) {
    cr_value *given[1];
    cr_model *copy;
    make_body();
    OK(cr_graph_expand(body, owner, &copies, &x, given));
    OK(cr_node_set_obstacle(owner, "with a reason"));
    OK(cr_model_clone(model, heap, &copy));
    OK(cr_model_verify(copy));
    cr_assert_str_eq(sketch_order(copy->graph), "Exp Add Mul Loop");
    cr_assert_str_eq(copy->graph->last->obstacle, "with a reason");
    cr_assert_null(copy->graph->first->obstacle);
    cr_model_destroy(copy);
    forget_copies();
}
