#ifndef CREASE_TESTS_PASSES_LISTS_H
#define CREASE_TESTS_PASSES_LISTS_H

/* Small models with sequences: loaded as a file would be, run with and without folding, saved, and run again.
 * Input x is float64 [3, 4] with elements 0 to 11. */

#include "runtime/api/model.h"
#include "tests/body.h"
#include "tests/passes/small.h"

#define ROW(r) 4 * (r), 4 * (r) + 1, 4 * (r) + 2, 4 * (r) + 3
#define NUMBERS(...)                                                                                         \
    (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (const double[]) {                              \
        __VA_ARGS__                                                                                          \
    }

static inline small lists_begin(int64_t opset) {
    small s = small_begin(opset, DIMS(3, 4));
    s.model->ir_version = 8;
    return s;
}

/* Constants: a scalar, a list. */
static inline cr_value *lists_number(small *s, crease_dtype dtype, int64_t number) {
    cr_value *value;
    cr_tensor *t;
    OK(cr_graph_new_constant(s->model->graph, "number", dtype, &(cr_shape){0}, &value, &t));
    if (dtype == CREASE_INT64)
        *(int64_t *)t->data = number;
    else if (dtype == CREASE_INT32)
        *(int32_t *)t->data = (int32_t)number;
    else
        *(uint8_t *)t->data = number != 0;
    return value;
}

static inline cr_value *lists_at(small *s, int64_t position) {
    return lists_number(s, CREASE_INT64, position);
}

#define LIST(s, ...)                                                                                         \
    small_ints((s), "list", (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                       \
               (const int64_t[]){__VA_ARGS__})

static inline cr_value *lists_input(small *s, const char *name, cr_kind kind, crease_dtype dtype) {
    cr_value *value;
    OK(cr_graph_add_value(s->model->graph, name, true, &value));
    value->kind = kind;
    value->dtype = dtype;
    value->shape = kind == CR_KIND_TENSOR ? (cr_shape){0} : cr_shape_unknown();
    if (kind != CR_KIND_TENSOR) { /* TypeProto: a sequence of float64, or an optional one */
        value->raw_type = kind == CR_KIND_SEQUENCE ? "\x22\x06\x0a\x04\x0a\x02\x08\x0b"
                                                   : "\x4a\x06\x0a\x04\x0a\x02\x08\x0b";
        value->raw_type_bytes = 8;
    }
    OK(cr_graph_add_input(s->model->graph, value));
    return value;
}

/* ---- bodies ---- */

/* A node of any graph, named by its output. */
static inline cr_value *lists_node(cr_graph *graph, const char *op, const char *name, int n,
                                   cr_value *const *inputs) {
    cr_value *out;
    cr_node *node;
    OK(cr_graph_add_value(graph, name, true, &out));
    OK(cr_graph_add_node(graph, NULL, op, "", out->name, inputs, n, &out, 1, &node));
    return out;
}

static inline cr_value *lists_body_input(cr_graph *body, const char *name, crease_dtype dtype) {
    cr_value *value;
    OK(cr_graph_add_value(body, name, true, &value));
    value->dtype = dtype;
    OK(cr_graph_add_input(body, value));
    return value;
}

/* ---- what comes of it ---- */

/* A sequence operator that is left: none may be. */
static inline void lists_check_nodes(const crease_model *model) {
    crease_node_info node = {.struct_size = sizeof node};
    for (size_t i = 0; crease_model_node_at(model, i, &node); i++)
        cr_assert(!strstr(node.op_type, "Sequence") && !strstr(node.op_type, "Optional"), "%s is left",
                  node.op_type);
}

static inline void lists_run(crease_model *model, bool fold, bool plain, int n, const double *expected) {
    crease_options options;
    crease_session *session;
    crease_tensor out = {.struct_size = sizeof out};
    double x[12];
    int at = 0;
    crease_options_init(&options);
    options.fold = fold;
    options.plain_layout = plain;
    options.threads = 1;
    for (int i = 0; i < 12; i++)
        x[i] = i;
    OK(crease_session_create(model, &options, &session));
    OK(crease_session_set_input(session, "x", CREASE_DOUBLE, 2, (int64_t[]){3, 4}, x));
    OK(crease_session_run(session));
    for (size_t i = 0; i < crease_session_n_outputs(session); i++) {
        OK(crease_session_output(session, i, &out));
        const int64_t count = (int64_t)(out.bytes / (crease_dtype_bits(out.dtype) / 8));
        for (int64_t j = 0; j < count; j++) {
            const cr_tensor t = {.dtype = out.dtype, .data = (void *)(uintptr_t)out.data};
            const double got =
                out.dtype == CREASE_DOUBLE ? ((const double *)out.data)[j] : (double)cr_tensor_int(&t, j);
            cr_assert_lt(at, n, "more than %d numbers", n);
            cr_assert_eq(got, expected[at], "number %d is %g, expected %g", at, got, expected[at]);
            at++;
        }
    }
    cr_assert_eq(at, n, "%d numbers of %d", at, n);
    crease_session_free(session);
}

static inline crease_model *lists_publish(small *s) {
    crease_model *model;
    OK(cr_model_publish(s->model, &model));
    s->model = NULL;
    small_end(s);
    return model;
}

/* The outputs, one after another, are these numbers, in every way to run the model; the end of s. */
static inline void lists_give(small *s, int n, const double *expected) {
    crease_model *model = lists_publish(s), *folded, *again;
    void *data;
    size_t bytes;
    OK(crease_model_check(model));
    lists_check_nodes(model);
    for (int how = 0; how < 4; how++)
        lists_run(model, how & 1, how & 2, n, expected);
    OK(crease_fold(model, NULL, &folded, NULL));
    OK(crease_model_save_memory(folded, &data, &bytes));
    OK(crease_model_load_memory(data, bytes, NULL, &again));
    lists_run(again, true, false, n, expected);
    crease_model_free(again);
    crease_memory_free(data);
    crease_model_free(folded);
    crease_model_free(model);
}

/* The only problem of the model, as a sentence, and the node that it names; the end of s. */
static inline void lists_refuse(small *s, const char *node, const char *reason) {
    crease_model *model = lists_publish(s), *again;
    crease_problem problem = {.struct_size = sizeof problem};
    void *data;
    size_t bytes;
    cr_assert_eq(crease_model_check(model), CREASE_ERROR_UNSUPPORTED);
    cr_assert_eq(crease_model_n_problems(model), 1, "%s", crease_error_message());
    cr_assert(crease_model_problem_at(model, 0, &problem));
    cr_assert_str_eq(problem.node, node);
    cr_assert_str_eq(problem.reason, reason);
    OK(crease_fold(model, NULL, &again, NULL)); /* what is left can be saved, and is refused again */
    crease_model_free(model);
    OK(crease_model_save_memory(again, &data, &bytes));
    crease_model_free(again);
    OK(crease_model_load_memory(data, bytes, NULL, &again));
    cr_assert_eq(crease_model_check(again), CREASE_ERROR_UNSUPPORTED);
    crease_model_free(again);
    crease_memory_free(data);
}

/* The model is wrong, and cannot be loaded; the end of s. */
static inline void lists_fail(small *s, const char *sentence) {
    crease_model *model;
    cr_assert_eq(cr_model_publish(s->model, &model), CREASE_ERROR_MODEL);
    cr_assert_str_eq(crease_error_message(), sentence);
    s->model = NULL;
    small_end(s);
}

#endif
