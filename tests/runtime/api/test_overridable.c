/* Initializers that are inputs as well (IR 4 on): a session takes them for constants until one is set. */
#include "runtime/api/model.h"
#include "runtime/graph/edit.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free
#include <stdio.h>

#define OK(call) cr_assert_eq((call), CREASE_OK, "%s", crease_error_message())

enum { CHANNELS = 2, PIXELS = 4 };

static cr_value *floats(cr_graph *graph, const char *name, int rank, const int64_t *dims, float first,
                        bool overridable) {
    const cr_shape shape = cr_shape_of(rank, dims);
    cr_value *value;
    cr_tensor *tensor;
    OK(cr_graph_new_constant(graph, name, CREASE_FLOAT, &shape, &value, &tensor));
    for (int64_t i = 0; i < cr_shape_n(&shape); i++)
        ((float *)tensor->data)[i] = first + (float)i;
    if (overridable) {
        value->initial = tensor;
        value->constant = NULL;
        OK(cr_graph_add_input(graph, value));
    }
    return value;
}

/* y = BatchNormalization(Conv(x, w)), whose scale may be overridden. */
static crease_model *make(void) {
    cr_heap *heap;
    cr_model *ir;
    cr_value *x, *c, *y;
    cr_node *node;
    crease_model *model;
    OK(cr_heap_create(NULL, 0, &heap));
    OK(cr_model_create(heap, &ir));
    OK(cr_model_set_opset(ir, "", 13));
    ir->ir_version = 7;
    OK(cr_graph_add_value(ir->graph, "x", true, &x));
    x->dtype = CREASE_FLOAT;
    x->shape = cr_shape_of(4, (int64_t[]){1, CHANNELS, 2, 2});
    OK(cr_graph_add_input(ir->graph, x));
    OK(cr_graph_add_value(ir->graph, "c", true, &c));
    OK(cr_graph_add_value(ir->graph, "y", true, &y));
    cr_value *w = floats(ir->graph, "w", 4, (int64_t[]){CHANNELS, CHANNELS, 1, 1}, 1, false);
    OK(cr_graph_add_node(ir->graph, NULL, "Conv", "", "conv", (cr_value *[]){x, w}, 2, &c, 1, &node));
    const int64_t n = CHANNELS;
    cr_value *in[] = {c, floats(ir->graph, "gamma", 1, &n, 1, true),
                      floats(ir->graph, "beta", 1, &n, 0, false), floats(ir->graph, "mean", 1, &n, 0, false),
                      floats(ir->graph, "var", 1, &n, 1, false)};
    OK(cr_graph_add_node(ir->graph, NULL, "BatchNormalization", "", "bn", in, 5, &y, 1, &node));
    OK(cr_graph_add_output(ir->graph, y));
    cr_heap_release(heap);
    OK(cr_model_publish(ir, &model));
    return model;
}

static float first_output(crease_session *session) {
    crease_tensor y = {.struct_size = sizeof y};
    OK(crease_session_run(session));
    OK(crease_session_output(session, 0, &y));
    return ((const float *)y.data)[0];
}

static crease_session *begin(crease_model *model, const crease_options *options) {
    static const float pixels[CHANNELS * PIXELS] = {1, 1, 1, 1, 1, 1, 1, 1};
    crease_session *session;
    OK(crease_session_create(model, options, &session));
    OK(crease_session_set_input(session, "x", CREASE_FLOAT, 4, (int64_t[]){1, CHANNELS, 2, 2}, pixels));
    return session;
}

static bool is_folded(const crease_session *session) {
    crease_fold_entry entry = {.struct_size = sizeof entry};
    cr_assert(crease_fold_report_entry_at(crease_session_fold_report(session), 0, &entry));
    return entry.folded;
}

Test(overridable, folds_until_it_is_set) {
    const int64_t n = CHANNELS;
    crease_model *model = make();
    crease_session *session = begin(model, NULL);
    cr_assert(is_folded(session));
    cr_assert_float_eq(first_output(session), 3, 1e-4);
    OK(crease_session_set_input(session, "gamma", CREASE_FLOAT, 1, &n, (float[]){10, 10}));
    cr_assert_not(is_folded(session));
    cr_assert_float_eq(first_output(session), 30, 1e-3, "x must survive the override");
    crease_session_free(session);
    crease_model_free(model);
}

Test(overridable, assume_const_refuses_the_override) {
    const int64_t n = CHANNELS;
    crease_options options;
    crease_options_init(&options);
    options.assume_const = true;
    crease_model *model = make();
    crease_session *session = begin(model, &options);
    cr_assert_eq(crease_session_set_input(session, "gamma", CREASE_FLOAT, 1, &n, (float[]){10, 10}),
                 CREASE_ERROR_ARGUMENT);
    cr_assert_float_eq(first_output(session), 3, 1e-4);
    crease_session_free(session);
    crease_model_free(model);
}
