#include "tests/passes/lists.h"

/* A Loop of three iterations that carries x [3, 4] and a weight [4, 3]. */
typedef struct carrying {
    cr_graph *body;
    cr_value *x, *weight, *outputs[2];
} carrying;

static carrying begin_loop(small *s, cr_value *weight) {
    carrying c;
    cr_node *node;
    cr_value *inputs[] = {lists_at(s, 3), NULL, s->x, weight};
    for (int i = 0; i < 2; i++)
        OK(cr_graph_add_value(s->model->graph, i ? "weight_out" : "x_out", true, &c.outputs[i]));
    OK(cr_graph_add_node(s->model->graph, NULL, "Loop", "", "loop", inputs, 4, c.outputs, 2, &node));
    c.body = body_of(node, "body");
    lists_body_input(c.body, "number", CREASE_INT64)->shape = (cr_shape){0};
    cr_value *condition = lists_body_input(c.body, "condition", CREASE_BOOL);
    condition->shape = (cr_shape){0};
    c.x = lists_body_input(c.body, "carried_x", CREASE_DOUBLE);
    c.weight = lists_body_input(c.body, "carried_weight", CREASE_DOUBLE);
    OK(cr_graph_add_output(c.body, lists_node(c.body, "Identity", "go_on", 1, &condition)));
    return c;
}

/* x + weight', and the weight as `next`. */
static void end_loop(small *s, carrying *c, cr_value *next) {
    cr_value *turned = lists_node(c->body, "Transpose", "turned", 1, &c->weight);
    cr_value *sum[] = {c->x, turned};
    OK(cr_graph_add_output(c->body, lists_node(c->body, "Add", "sum", 2, sum)));
    OK(cr_graph_add_output(c->body, next));
    for (int i = 0; i < 2; i++)
        small_output(s, c->outputs[i]);
}

static cr_value *weight_of(small *s) {
    cr_value *weight = small_constant(s, "weight", 0, 1, DIMS(4, 3));
    for (int i = 0; i < 12; i++)
        ((double *)weight->constant->data)[i] = i;
    return weight;
}

static int count_in(const cr_graph *graph, const char *op) {
    int n = 0;
    CR_FOR_NODES(node, graph)
    n += cr_node_is(node, op);
    return n;
}

/* Whose row i, column j is 3 j + i. */
#define TIMES(n)                                                                                             \
    0, 1 + (n)*3, 2 + (n)*6, 3 + (n)*9, 4 + (n)*1, 5 + (n)*4, 6 + (n)*7, 7 + (n)*10, 8 + (n)*2, 9 + (n)*5,   \
        10 + (n)*8, 11 + (n)*11
#define WEIGHT 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11

Test(lift_invariants, what_is_handed_on_is_the_same_each_time) {
    small s = lists_begin(17);
    carrying c = begin_loop(&s, weight_of(&s));
    end_loop(&s, &c, c.weight);
    OK(cr_pass_lift_invariants(s.model));
    cr_assert_eq(c.weight->n_uses, 0);
    cr_assert_eq(c.weight->n_outputs, 1, "it is handed on");
    cr_assert_eq(c.x->n_uses, 1, "it changes");
    OK(cr_model_resolve(s.model));
    OK(cr_pass_fold_constants(s.model, s.report));
    cr_assert_eq(count_in(c.body, "Transpose"), 0, "of a constant");
    lists_give(&s, NUMBERS(TIMES(3), WEIGHT));
}

Test(lift_invariants, what_changes_stays) {
    small s = lists_begin(17);
    carrying c = begin_loop(&s, weight_of(&s));
    end_loop(&s, &c, lists_node(c.body, "Neg", "negative", 1, &c.weight));
    OK(cr_pass_lift_invariants(s.model));
    cr_assert_eq(c.weight->n_uses, 2);
    lists_give(&s, NUMBERS(TIMES(1), 0, -1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11));
}

/* A body may use it in a body of its own. */
Test(lift_invariants, bodies_in_bodies) {
    small s = lists_begin(17);
    carrying c = begin_loop(&s, weight_of(&s));
    cr_value *condition = c.body->inputs[1], *chosen = lists_node(c.body, "If", "if", 1, &condition);
    for (int b = 0; b < 2; b++) {
        cr_graph *branch = body_of(chosen->producer, b ? "then_branch" : "else_branch");
        OK(cr_graph_add_output(branch, lists_node(branch, b ? "Identity" : "Neg", "own", 1, &c.weight)));
    }
    cr_value *handed_on = c.weight;
    c.weight = chosen;
    end_loop(&s, &c, handed_on);
    OK(cr_pass_lift_invariants(s.model));
    cr_assert_eq(handed_on->n_uses, 0);
    lists_give(&s, NUMBERS(TIMES(3), WEIGHT));
}
