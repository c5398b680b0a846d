#include "tests/passes/generated/oracle.h"
#include "runtime/graph/attr.h"
#include "tests/passes/generated/network.h"

/* ---- memory and access ---- */

static void *block(oracle *o, size_t n, size_t bytes) {
    void *memory = calloc(n + 1, bytes);
    o->blocks = realloc(o->blocks, (o->n_blocks + 1) * sizeof *o->blocks);
    cr_assert(memory && o->blocks);
    return o->blocks[o->n_blocks++] = memory;
}

tracked oracle_new(oracle *o, int rank, const int64_t *dims) {
    tracked t = {.rank = rank, .n = 1};
    cr_assert(rank <= ORACLE_MAX_RANK);
    for (int d = 0; d < rank; d++)
        t.n *= t.dims[d] = dims[d];
    t.value = block(o, (size_t)t.n, sizeof *t.value);
    t.radius = block(o, (size_t)t.n, sizeof *t.radius);
    return t;
}

void oracle_move(tracked *out, int64_t i, const tracked *in, int64_t j) {
    out->value[i] = in->value[j];
    out->radius[i] = in->radius[j];
}

void oracle_put(const operands *p, int64_t i, real value, real radius) {
    const oracle_units *u = &p->oracle->units;
    p->out->value[i] = value;
    p->out->radius[i] = radius + u->step * (fabsl(value) + radius) + u->tiny;
}

int64_t oracle_int(const cr_node *node, const char *name, int64_t otherwise) {
    int64_t value;
    OK(cr_attr_int(node, name, otherwise, &value));
    return value;
}

real oracle_float(const cr_node *node, const char *name, float otherwise) {
    float value;
    OK(cr_attr_float(node, name, otherwise, &value));
    return (real)value;
}

bool oracle_text_is(const cr_node *node, const char *name, const char *otherwise, const char *value) {
    const char *text;
    OK(cr_attr_string(node, name, otherwise, &text));
    return strcmp(text, value) == 0;
}

int oracle_ints(const operands *p, const char *name, int input, int64_t *values) {
    const int64_t *listed;
    int n;
    if (input > 0 && p->in[input]) {
        for (int64_t i = 0; i < p->in[input]->n; i++)
            values[i] = (int64_t)p->in[input]->value[i];
        return (int)p->in[input]->n;
    }
    OK(cr_attr_ints(p->node, name, &listed, &n));
    for (int i = 0; i < n; i++)
        values[i] = listed[i];
    return n;
}

bool oracle_next(int rank, const int64_t *dims, int64_t *at) {
    for (int d = rank - 1; d >= 0; d--) {
        if (++at[d] < dims[d])
            return true;
        at[d] = 0;
    }
    return false;
}

int64_t oracle_at(int rank, const int64_t *dims, const int64_t *at) {
    int64_t i = 0;
    for (int d = 0; d < rank; d++)
        i = i * dims[d] + at[d];
    return i;
}

/* ---- tensors of the model ---- */

/* Constants were rounded once; inputs are given. */
static tracked load(oracle *o, const cr_tensor *t, bool is_constant) {
    tracked r = oracle_new(o, t->shape.rank, t->shape.dims);
    bool number = cr_dtype_is_float(t->dtype);
    for (int64_t i = 0; i < r.n; i++) {
        r.value[i] = number ? (real)cr_load_float(t->dtype, t->data, i) : (real)cr_tensor_int(t, i);
        if (number && is_constant && isfinite(r.value[i]))
            r.radius[i] = o->units.constant * fabsl(r.value[i]) + o->units.tiny;
    }
    return r;
}

static const tracked *find(oracle *o, const cr_value *v) {
    tracked *t = v ? &o->values[v->id] : NULL;
    if (t && !t->value) {
        cr_assert(v->constant || v->initial, "oracle: '%s' has no value yet", v->name);
        *t = load(o, v->constant ? v->constant : v->initial, true);
    }
    return t;
}

/* ---- graphs ---- */

static void run_graph(oracle *o, const cr_graph *graph);

static bool constant(operands *p) {
    const cr_tensor *t;
    if (!cr_node_is(p->node, "Constant"))
        return false;
    OK(cr_attr_tensor(p->node, "value", &t));
    cr_assert(t, "oracle: a Constant without a tensor");
    *p->out = load(p->oracle, t, true);
    return true;
}

static bool choice(operands *p) {
    cr_graph *graph;
    if (!cr_node_is(p->node, "If"))
        return false;
    OK(cr_attr_graph(p->node, p->in[0]->value[0] != 0 ? "then_branch" : "else_branch", &graph));
    run_graph(p->oracle, graph);
    for (int i = 0; i < p->node->n_outputs; i++)
        p->oracle->values[p->node->outputs[i]->id] = *find(p->oracle, graph->outputs[i]);
    return true;
}

/* Carried values alone, as often as the constant says. */
static bool loop(operands *p) {
    cr_graph *body;
    oracle *o = p->oracle;
    if (!cr_node_is(p->node, "Loop"))
        return false;
    OK(cr_attr_graph(p->node, "body", &body));
    for (int i = 2; i < p->node->n_inputs; i++)
        o->values[body->inputs[i]->id] = *p->in[i];
    for (real number = 0; number < p->in[0]->value[0]; number++) {
        tracked *given[2] = {&o->values[body->inputs[0]->id], &o->values[body->inputs[1]->id]};
        for (int i = 0; i < 2; i++) {
            *given[i] = oracle_new(o, 0, NULL);
            given[i]->value[0] = i ? 1 : number;
        }
        run_graph(o, body);
        for (int i = 2; i < p->node->n_inputs; i++)
            o->values[body->inputs[i]->id] = *find(o, body->outputs[i - 1]);
    }
    for (int i = 0; i < p->node->n_outputs; i++)
        o->values[p->node->outputs[i]->id] = o->values[body->inputs[i + 2]->id];
    return true;
}

/* Copy slice `at` of an axis of `whole` into `part`, or, with `back`, the other way. */
static void move_slice(tracked *whole, int axis, int64_t at, tracked *part, bool back) {
    int64_t inner = 1, n = whole->dims[axis];
    for (int d = axis + 1; d < whole->rank; d++)
        inner *= whole->dims[d];
    for (int64_t i = 0; i < part->n; i++) {
        int64_t j = (i / inner * n + at) * inner + i % inner;
        if (back)
            oracle_move(whole, j, part, i);
        else
            oracle_move(part, i, whole, j);
    }
}

static int scan_axis(const operands *p, const char *name, int i, int rank) {
    int64_t axes[16] = {0};
    oracle_ints(p, name, 0, axes);
    return (int)(axes[i] < 0 ? axes[i] + rank : axes[i]);
}

static int64_t scan_place(const operands *p, const char *name, int i, int64_t t, int64_t n) {
    int64_t back[16] = {0};
    oracle_ints(p, name, 0, back);
    return back[i] ? n - 1 - t : t;
}

static void give_slices(operands *p, const cr_graph *body, int states, int64_t t, int64_t n) {
    for (int i = states; i < p->node->n_inputs; i++) {
        tracked *whole = &p->oracle->values[p->node->inputs[i]->id];
        int64_t dims[ORACLE_MAX_RANK];
        int axis = scan_axis(p, "scan_input_axes", i - states, whole->rank), rank = 0;
        for (int d = 0; d < whole->rank; d++)
            if (d != axis)
                dims[rank++] = whole->dims[d];
        tracked part = oracle_new(p->oracle, rank, dims);
        move_slice(whole, axis, scan_place(p, "scan_input_directions", i - states, t, n), &part, false);
        p->oracle->values[body->inputs[i]->id] = part;
    }
}

static void take_slices(operands *p, const cr_graph *body, int states, int64_t t, int64_t n) {
    for (int i = states; i < p->node->n_outputs; i++) {
        tracked part = *find(p->oracle, body->outputs[i]),
                *whole = &p->oracle->values[p->node->outputs[i]->id];
        int axis = scan_axis(p, "scan_output_axes", i - states, part.rank + 1);
        int64_t dims[ORACLE_MAX_RANK];
        for (int d = 0; d <= part.rank; d++)
            dims[d] = d == axis ? n : part.dims[d > axis ? d - 1 : d];
        if (t == 0)
            *whole = oracle_new(p->oracle, part.rank + 1, dims);
        move_slice(whole, axis, scan_place(p, "scan_output_directions", i - states, t, n), &part, true);
    }
}

static bool scan(operands *p) {
    cr_graph *body;
    oracle *o = p->oracle;
    if (!cr_node_is(p->node, "Scan"))
        return false;
    OK(cr_attr_graph(p->node, "body", &body));
    const int states = p->node->n_inputs - (int)oracle_int(p->node, "num_scan_inputs", 0);
    const tracked *first = p->in[states];
    const int64_t n = first->dims[scan_axis(p, "scan_input_axes", 0, first->rank)];
    for (int i = 0; i < states; i++)
        o->values[body->inputs[i]->id] = *p->in[i];
    for (int64_t t = 0; t < n; t++) {
        give_slices(p, body, states, t, n);
        run_graph(o, body);
        for (int i = 0; i < states; i++)
            o->values[body->inputs[i]->id] = *find(o, body->outputs[i]);
        take_slices(p, body, states, t, n);
    }
    for (int i = 0; i < states; i++)
        o->values[p->node->outputs[i]->id] = o->values[body->inputs[i]->id];
    return true;
}

static void run_node(oracle *o, const cr_node *node) {
    operands p = {.oracle = o, .node = node, .out = &o->values[node->outputs[0]->id]};
    cr_assert(node->n_inputs <= 16);
    for (int i = 0; i < node->n_inputs; i++)
        p.in[i] = find(o, node->inputs[i]);
    cr_assert(constant(&p) || choice(&p) || loop(&p) || scan(&p) || oracle_elementwise(&p) ||
                  oracle_linear(&p) || oracle_movement(&p) || oracle_spatial(&p),
              "seed %u: the oracle has no operator '%s'", net_seed, node->op_type);
}

static void run_graph(oracle *o, const cr_graph *graph) {
    CR_FOR_NODES(node, graph)
    run_node(o, node);
}

/* Folding works in double: constants of a narrower type are rounded once, those of float64 at every step of
 * some ten, next to parameters near 1. */
oracle_units oracle_units_of(crease_dtype dtype) {
    if (dtype == CREASE_DOUBLE)
        return (oracle_units){.constant = 0x1p-49L, .step = 0x1p-53L, .tiny = 0x1p-49L};
    if (dtype == CREASE_FLOAT16)
        return (oracle_units){.constant = 0x1p-11L, .step = 0x1p-11L, .tiny = 0x1p-25L};
    if (dtype == CREASE_BFLOAT16)
        return (oracle_units){.constant = 0x1p-8L, .step = 0x1p-8L, .tiny = 0x1p-126L};
    return (oracle_units){.constant = 0x1p-24L, .step = 0x1p-24L, .tiny = 0x1p-126L};
}

void oracle_run(oracle *o, const cr_model *model, const cr_tensor *inputs, oracle_units units) {
    *o = (oracle){.model = model, .units = units};
    o->values = block(o, (size_t)model->n_values, sizeof *o->values);
    for (int i = 0; i < model->graph->n_inputs; i++)
        if (inputs[i].data)
            o->values[model->graph->inputs[i]->id] = load(o, &inputs[i], false);
    run_graph(o, model->graph);
}

void oracle_run_part(oracle *o, const cr_model *model, const cr_node *first, const cr_value *value,
                     const cr_tensor *contents) {
    *o = (oracle){.model = model};
    o->values = block(o, (size_t)model->n_values, sizeof *o->values);
    o->values[value->id] = load(o, contents, false);
    for (const cr_node *node = first; node; node = node->next)
        run_node(o, node);
}

const tracked *oracle_value(const oracle *o, const cr_value *value) {
    return &o->values[value->id];
}

const tracked *oracle_output(const oracle *o, int i) {
    return &o->values[o->model->graph->outputs[i]->id];
}

void oracle_end(oracle *o) {
    for (size_t i = 0; i < o->n_blocks; i++)
        free(o->blocks[i]);
    free(o->blocks);
}
