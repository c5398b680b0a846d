#include "tests/passes/generated/network.h"

#include <stdarg.h>

unsigned net_seed;

network net_begin(unsigned seed, crease_dtype dtype, int64_t opset, int rank, const int64_t *dims) {
    network n = {.dtype = dtype, .opset = opset, .roundings = 1};
    net_seed = seed;
    n.base = small_begin(opset, rank, dims);
    n.base.model->ir_version = 8;
    n.base.seed = seed * 2654435761U + 1;
    n.base.x->dtype = dtype;
    n.end = n.base.x;
    return n;
}

int net_pick(network *n, int low, int high) {
    return low + (int)(small_random(&n->base, 0, 1) * (high - low + 1));
}

bool net_chance(network *n, int percent) {
    return net_pick(n, 0, 99) < percent;
}

const char *net_format(network *n, const char *format, ...) {
    char text[256];
    const char *kept;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    OK(cr_arena_string(&n->base.model->arena, text, &kept));
    return kept;
}

void net_expect(network *n, const char *node, const char *outcome, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, outcome);
    vsnprintf(text, sizeof text, outcome, arguments);
    va_end(arguments);
    int at = 0;
    while (at < n->n_expected && strcmp(n->expected[at].node, node) != 0)
        at++;
    cr_assert(at < NET_MAX_EXPECTED);
    n->expected[at] = (expectation){node, net_format(n, "%s", text)};
    n->n_expected += at == n->n_expected;
}

/* ---- values ---- */

cr_value *net_input(network *n, crease_dtype dtype, int rank, const int64_t *dims) {
    cr_value *v;
    OK(cr_graph_add_value(n->base.model->graph, net_format(n, "in_%d", ++n->n_names), true, &v));
    v->dtype = dtype;
    v->shape = cr_shape_of(rank, dims);
    OK(cr_graph_add_input(n->base.model->graph, v));
    return v;
}

cr_value *net_typed(network *n, crease_dtype dtype, double low, double high, int rank, const int64_t *dims) {
    cr_shape shape = cr_shape_of(rank, dims);
    cr_value *value;
    cr_tensor *t;
    OK(cr_graph_new_constant(n->base.model->graph, "c", dtype, &shape, &value, &t));
    for (int64_t i = 0; i < cr_shape_n(&shape); i++)
        cr_store_float(dtype, t->data, i, small_random(&n->base, low, high));
    return value;
}

cr_value *net_constant(network *n, double low, double high, int rank, const int64_t *dims) {
    return net_typed(n, n->dtype, low, high, rank, dims);
}

cr_value *net_ints(network *n, int count, const int64_t *values) {
    return small_ints(&n->base, "ints", count, values);
}

cr_value *net_weight(network *n, int64_t terms, int rank, const int64_t *dims) {
    double size = 1.5 / sqrt((double)terms);
    return net_constant(n, -size, size, rank, dims);
}

double net_get(const cr_value *constant, int64_t i) {
    return cr_load_float(constant->dtype, constant->constant->data, i);
}

void net_set(cr_value *constant, int64_t i, double value) {
    cr_store_float(constant->dtype, constant->constant->data, i, value);
}

int64_t net_dim(const cr_value *value, int axis) {
    return value->shape.dims[axis < 0 ? axis + value->shape.rank : axis];
}

/* ---- nodes ---- */

cr_node *net_last(const network *n) {
    return n->base.model->graph->last;
}

const char *net_last_name(const network *n) {
    return net_last(n)->name;
}

cr_value *net_node(network *n, const char *op, int n_inputs, cr_value **inputs) {
    while (n_inputs > 0 && !inputs[n_inputs - 1])
        n_inputs--;
    return small_node(&n->base, op, net_format(n, "%s_%d", op, ++n->n_names), n_inputs, inputs);
}

/* Scales of both signs, away from 0, and shifts that matter; float32 beside half-width data where a version
 * allows that. */
cr_value *net_bn(network *n, cr_value *x, int64_t channels) {
    bool half = n->dtype == CREASE_FLOAT16 || n->dtype == CREASE_BFLOAT16;
    crease_dtype dtype = half && n->opset >= 15 && net_chance(n, 50) ? CREASE_FLOAT : n->dtype;
    cr_value *gamma = net_typed(n, dtype, 0.4, 1.5, DIMS(channels));
    for (int64_t c = 0; c < channels; c++)
        if (c == 0 || net_chance(n, 40)) /* one at least is negative */
            net_set(gamma, c, -net_get(gamma, c));
    return net_node(n, "BatchNormalization",
                    IN(x, gamma, net_typed(n, dtype, 0.2, 1, DIMS(channels)),
                       net_typed(n, dtype, -1, 1, DIMS(channels)),
                       net_typed(n, dtype, 0.3, 2, DIMS(channels))));
}

void net_settle(network *n) {
    OK(cr_model_resolve(n->base.model));
    OK(cr_graph_infer(n->base.model->graph));
}

void net_output(network *n, cr_value *value) {
    small_output(&n->base, value);
}

void net_barrier(network *n) {
    n->end = net_node(n, "Max", IN(n->end, net_constant(n, -0.5, 0, 0, NULL)));
    net_settle(n);
}

void net_print(const network *n) {
    char text[128];
    fprintf(stderr, "seed %u, %s, opset %lld\n", net_seed, crease_dtype_name(n->dtype), (long long)n->opset);
    CR_FOR_NODES(node, n->base.model->graph) {
        fprintf(stderr, "  %s", node->name);
        for (int i = 0; i < node->n_inputs; i++)
            fprintf(stderr, " %s%s", node->inputs[i] ? node->inputs[i]->name : "-",
                    node->inputs[i] ? cr_shape_print(&node->inputs[i]->shape, text, sizeof text) : "");
        fprintf(stderr, " -> %s\n", cr_shape_print(&node->outputs[0]->shape, text, sizeof text));
        for (int i = 0; i < node->n_attrs; i++) {
            const cr_attr *a = &node->attrs[i];
            fprintf(stderr, "      %s", a->name);
            for (int64_t k = 0; k < a->n; k++)
                if (a->type == CR_ATTR_INT || a->type == CR_ATTR_INTS)
                    fprintf(stderr, " %lld", (long long)a->ints[k]);
                else if (a->type == CR_ATTR_STRING)
                    fprintf(stderr, " %s", a->strings[k].data);
                else if (a->type == CR_ATTR_FLOAT)
                    fprintf(stderr, " %g", (double)a->floats[k]);
            fprintf(stderr, "\n");
        }
    }
}
