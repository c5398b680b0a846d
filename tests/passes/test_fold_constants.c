#include "tests/passes/small.h"

static void fold(small *s, cr_report *report) {
    OK(cr_model_resolve(s->model));
    OK(cr_graph_infer(s->model->graph));
    OK(cr_pass_fold_constants(s->model, report));
}

/* Whether a node of this name is left. */
static bool is_left(const small *s, const char *name) {
    CR_FOR_NODES(node, s->model->graph)
    if (strcmp(node->name, name) == 0)
        return true;
    return false;
}

Test(fold_constants, what_is_constant_is_computed) {
    small s = small_begin(13, DIMS(2));
    cr_value *sum = small_node(
                 &s, "Add", "sum",
                 IN(small_constant(&s, "a", 1, 1, DIMS(2)), small_constant(&s, "b", 2, 2, DIMS(2)))),
             *negative = small_node(&s, "Neg", "negative", IN(sum));
    small_output(&s, small_node(&s, "Add", "last", IN(s.x, negative)));
    fold(&s, s.report);
    cr_assert_not(is_left(&s, "sum"));
    cr_assert_not(is_left(&s, "negative"));
    const cr_tensor *t = cr_node_constant(small_find(&s, "last"), 1);
    cr_assert(t && ((const double *)t->data)[0] == -3 && ((const double *)t->data)[1] == -3);
    small_end(&s);
}

Test(fold_constants, a_normalisation_is_reported) {
    small s = small_begin(13, DIMS(1, 2, 1, 1));
    cr_value *y = small_bn(&s, "bn", small_constant(&s, "fixed", -1, 1, DIMS(1, 2, 1, 1)), 2);
    small_output(&s, small_node(&s, "Add", "last", IN(s.x, y)));
    fold(&s, s.report);
    cr_assert_str_eq(small_entry(&s, "bn").pattern, "constant");
    small_end(&s);
}

/* A random operator has no inputs, and gives other numbers each time. */
Test(fold_constants, random_numbers_stay) {
    small s = small_begin(13, DIMS(2));
    cr_value *y = small_node(&s, "RandomNormal", "random", 0, NULL);
    OK(cr_node_set_ints(small_find(&s, "random"), "shape", (int64_t[]){2}, 1));
    OK(cr_node_set_int(small_find(&s, "random"), "dtype", CREASE_DOUBLE));
    small_output(&s, small_node(&s, "Add", "last", IN(s.x, y)));
    fold(&s, s.report);
    cr_assert(is_left(&s, "random"));
    small_end(&s);
}

Test(fold_constants, an_output_of_the_graph_stays) {
    small s = small_begin(13, DIMS(2));
    small_output(&s, small_node(&s, "Neg", "negative", IN(small_constant(&s, "a", 1, 1, DIMS(2)))));
    fold(&s, s.report);
    cr_assert(is_left(&s, "negative"));
    small_end(&s);
}

/* A file would only become larger by them. */
Test(fold_constants, many_equal_numbers_stay) {
    for (int64_t n = 1 << 22; n <= (1 << 22) + 1; n++) {
        small s = small_begin(13, DIMS(1));
        cr_value *y = small_node(&s, "ConstantOfShape", "many", IN(small_ints(&s, "shape", 1, &n)));
        s.x->dtype = CREASE_FLOAT;
        small_output(&s, small_node(&s, "Add", "last", IN(s.x, y)));
        fold(&s, s.report);
        cr_assert_eq(is_left(&s, "many"), n > 1 << 22);
        small_end(&s);
    }
}

/* The weights of a linear operator are folded as they are stored; nothing else that is dequantised is. */
Test(fold_constants, quantised_weights_stay_in_a_file) {
    for (int how = 0; how < 4; how++) { /* 0: weights; 1: for a session; 2: data; 3: of another operator */
        small s = small_begin(13, DIMS(2, 2));
        cr_shape shape = cr_shape_of(DIMS(2, 2));
        cr_value *q, *w;
        cr_tensor *t;
        OK(cr_graph_new_constant(s.model->graph, "q", CREASE_INT8, &shape, &q, &t));
        memset(t->data, 3, 4);
        w = small_node(&s, "DequantizeLinear", "dq", IN(q, small_constant(&s, "scale", 0.5, 0.5, 0, NULL)));
        small_output(&s, how == 2 ? small_node(&s, "MatMul", "mm", IN(w, s.x))
                                  : small_node(&s, how == 3 ? "Add" : "MatMul", "mm", IN(s.x, w)));
        fold(&s, how == 1 ? NULL : s.report);
        cr_assert_eq(is_left(&s, "dq"), how == 0, "%d", how);
        small_end(&s);
    }
}

Test(fold_constants, several_results_stay) {
    small s = small_begin(13, DIMS(2));
    cr_value *a = small_constant(&s, "a", 1, 2, DIMS(4)), *out[2];
    cr_node *node;
    for (int i = 0; i < 2; i++)
        OK(cr_graph_add_value(s.model->graph, i ? "second" : "first", true, &out[i]));
    OK(cr_graph_add_node(s.model->graph, NULL, "Split", "", "split", &a, 1, out, 2, &node));
    small_output(&s, small_node(&s, "Sum", "last", IN(s.x, out[0], out[1])));
    fold(&s, s.report);
    cr_assert(is_left(&s, "split"));
    small_end(&s);
}

Test(fold_constants, what_fails_stays) {
    small s = small_begin(13, DIMS(2));
    cr_value *y =
        small_node(&s, "Reshape", "op",
                   IN(small_constant(&s, "a", 1, 2, DIMS(3)), small_ints(&s, "shape", 1, (int64_t[]){2})));
    small_output(&s, small_node(&s, "Add", "last", IN(s.x, y)));
    OK(cr_model_resolve(s.model));
    OK(cr_pass_fold_constants(s.model, s.report));
    cr_assert(is_left(&s, "op"));
    small_end(&s);
}

/* Memory that runs out is told, and not taken for a node that cannot be computed. */
Test(fold_constants, memory_runs_out) {
    small s = {.seed = 7};
    OK(cr_heap_create(NULL, 1 << 20, &s.heap));
    OK(cr_model_create(s.heap, &s.model));
    OK(cr_model_set_opset(s.model, "", 13));
    OK(cr_report_create(s.heap, &s.report));
    small_output(&s, small_node(&s, "Relu", "last",
                                IN(small_node(&s, "ConstantOfShape", "op",
                                              IN(small_ints(&s, "shape", 1, (int64_t[]){1 << 20}))))));
    OK(cr_model_resolve(s.model));
    cr_assert_eq(cr_pass_fold_constants(s.model, s.report), CREASE_ERROR_MEMORY);
    small_end(&s);
}

Test(fold_constants, more_inputs_than_are_read) {
    small s = small_begin(13, DIMS(40));
    cr_value *in[40];
    for (int i = 0; i < 40; i++)
        in[i] = small_constant(&s, "c", 1, 2, DIMS(1));
    small_output(&s, small_node(&s, "Add", "last", IN(s.x, small_node(&s, "Concat", "op", 40, in))));
    OK(cr_node_set_int(small_find(&s, "op"), "axis", 0));
    fold(&s, s.report);
    cr_assert(is_left(&s, "op"));
    small_end(&s);
}

/* Only normalisations are spoken of, and only where somebody listens. */
Test(fold_constants, what_is_reported) {
    for (int listens = 0; listens < 2; listens++) {
        small s = small_begin(13, DIMS(1, 2, 1, 1));
        cr_value *y =
            small_node(&s, "Neg", "negative", IN(small_constant(&s, "fixed", -1, 1, DIMS(1, 2, 1, 1))));
        small_output(&s, small_node(&s, "Add", "last", IN(s.x, small_bn(&s, "bn", y, 2))));
        fold(&s, listens ? s.report : NULL);
        cr_assert_eq(s.model->graph->n_nodes, 1);
        cr_assert_eq(cr_report_n_folded(s.report), (size_t)listens);
        small_end(&s);
    }
}

/* In a body that no inference has seen. */
Test(fold_constants, a_result_that_is_missing) {
    small s = small_begin(13, DIMS(2));
    cr_value *in = small_constant(&s, "c", 1, 2, DIMS(2)), *none = NULL;
    cr_node *node;
    OK(cr_graph_add_node(s.model->graph, NULL, "Neg", "", "op", &in, 1, &none, 1, &node));
    OK(cr_model_resolve(s.model));
    OK(cr_pass_fold_constants(s.model, s.report));
    cr_assert(is_left(&s, "op"));
    small_end(&s);
}

/* What is known of its shape does not tell how large it will be. */
Test(fold_constants, a_large_result_of_unknown_size) {
    small s = small_begin(13, DIMS(2));
    const int64_t dims[] = {1, 1, (1 << 22) + 1};
    cr_value *y = small_node(&s, "Expand", "op",
                             IN(small_constant(&s, "c", 1, 2, DIMS(1)), small_ints(&s, "shape", 3, dims)));
    y->dtype = CREASE_DOUBLE;
    y->shape = cr_shape_of(DIMS(CR_DIM_UNKNOWN, CR_DIM_UNKNOWN, dims[2]));
    small_output(&s, small_node(&s, "Relu", "last", IN(y)));
    OK(cr_model_resolve(s.model));
    OK(cr_pass_fold_constants(s.model, s.report));
    cr_assert_not(is_left(&s, "op"));
    small_end(&s);
}

/* Far more of them than the one that is read. */
Test(fold_constants, many_results_stay) {
    enum { MANY = 200 };
    small s = small_begin(13, DIMS(1));
    cr_value *c = small_constant(&s, "c", 1, 2, DIMS(MANY)), *out[MANY];
    cr_node *node;
    for (int i = 0; i < MANY; i++)
        OK(cr_graph_add_value(s.model->graph, NULL, true, &out[i]));
    OK(cr_graph_add_node(s.model->graph, NULL, "Split", "", "op", &c, 1, out, MANY, &node));
    small_output(&s, small_node(&s, "Add", "last", IN(s.x, out[0])));
    fold(&s, s.report);
    cr_assert(is_left(&s, "op"));
    small_end(&s);
}
