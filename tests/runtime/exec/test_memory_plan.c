#include "runtime/exec/session.h"
#include "runtime/graph/edit.h"
#include "runtime/ops/infer.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Random graphs of the operators that share memory (views, in place, joined, split) beside plain ones. The
 * plan is checked twice: byte ranges of values that are alive at the same time, and by the results, which
 * must be those of a session that shares nothing. */

#define OK(call) cr_assert_eq((call), CREASE_OK, "%s", crease_error_message())

enum { N_NODES = 40, ROUNDS = 60, N_LIVE = 12 };

typedef struct maker {
    cr_heap *heap;
    cr_model *model;
    cr_value *live[N_LIVE]; /* to draw inputs from */
    int n_live;
    unsigned seed;
} maker;

static int draw(maker *m, int n) {
    m->seed = m->seed * 1664525U + 1013904223U;
    return (int)((m->seed >> 8) % (unsigned)n);
}

static void keep(maker *m, cr_value *value) {
    if (m->n_live < N_LIVE)
        m->live[m->n_live++] = value;
    else
        m->live[draw(m, N_LIVE)] = value;
}

static cr_value *pick(maker *m) {
    return m->live[draw(m, m->n_live)];
}

static cr_value *new_value(maker *m) {
    cr_value *value;
    char name[32];
    snprintf(name, sizeof name, "v%d", m->model->n_values);
    OK(cr_graph_add_value(m->model->graph, name, true, &value));
    return value;
}

static cr_node *node(maker *m, const char *op, cr_value *const *in, int n_in, int n_out) {
    cr_value *out[2] = {new_value(m), n_out > 1 ? new_value(m) : NULL};
    cr_node *made;
    OK(cr_graph_add_node(m->model->graph, NULL, op, "", out[0]->name, in, n_in, out, n_out, &made));
    for (int i = 0; i < n_out; i++)
        keep(m, out[i]);
    return made;
}

/* Every value is float32 [rows, 5, 5]. */
static void add_random_node(maker *m) {
    cr_value *in[3] = {pick(m), pick(m), pick(m)};
    int64_t rows = in[0]->shape.dims[0];
    cr_node *made;
    switch (draw(m, 7)) {
    case 0:
        made = node(m, "Relu", in, 1, 1);
        made->outputs[0]->shape = in[0]->shape;
        break;
    case 1:
        made = node(m, "Identity", in, 1, 1);
        made->outputs[0]->shape = in[0]->shape;
        break;
    case 2:
        made = node(m, "Concat", in, 3, 1);
        OK(cr_node_set_int(made, "axis", 0));
        made->outputs[0]->shape = in[0]->shape;
        made->outputs[0]->shape.dims[0] += in[1]->shape.dims[0] + in[2]->shape.dims[0];
        break;
    case 3:
        if (rows < 2)
            return;
        made = node(m, "Split", in, 1, 2);
        OK(cr_node_set_int(made, "axis", 0));
        OK(cr_node_set_ints(made, "split", (int64_t[]){1, rows - 1}, 2));
        made->outputs[0]->shape = made->outputs[1]->shape = in[0]->shape;
        made->outputs[0]->shape.dims[0] = 1;
        made->outputs[1]->shape.dims[0] = rows - 1;
        break;
    case 4:
        made = node(m, "Transpose", in, 1, 1);
        OK(cr_node_set_ints(made, "perm", (int64_t[]){0, 2, 1}, 3));
        made->outputs[0]->shape = in[0]->shape;
        break;
    case 5:
        made = node(m, "Add", (cr_value *[]){in[0], in[0]}, 2, 1);
        made->outputs[0]->shape = in[0]->shape;
        break;
    default:
        if (in[0]->shape.dims[0] != in[1]->shape.dims[0])
            return;
        made = node(m, "Sub", in, 2, 1);
        made->outputs[0]->shape = in[0]->shape;
    }
}

static void make(maker *m) {
    cr_value *x;
    OK(cr_heap_create(NULL, 0, &m->heap));
    OK(cr_model_create(m->heap, &m->model));
    OK(cr_model_set_opset(m->model, "", 11));
    OK(cr_graph_add_value(m->model->graph, "x", true, &x));
    x->dtype = CREASE_FLOAT;
    x->shape = cr_shape_of(3, (int64_t[]){2, 5, 5});
    OK(cr_graph_add_input(m->model->graph, x));
    keep(m, x);
    for (int i = 0; i < N_NODES && m->model->graph->n_nodes < N_NODES; i++)
        add_random_node(m);
    for (int i = 0; i < 3; i++) {
        cr_value *out = pick(m);
        if (out->producer && !out->n_outputs)
            OK(cr_graph_add_output(m->model->graph, out));
    }
    for (int i = 0; i < m->model->n_values; i++) /* inference finds them again */
        if (m->model->values[i] != x)
            m->model->values[i]->shape = cr_shape_unknown();
    OK(cr_model_drop_dead(m->model));
    OK(cr_model_resolve(m->model));
    OK(cr_graph_infer(m->model->graph));
}

static cr_session *session_of(const maker *m, bool keep_all) {
    cr_session *session;
    OK(cr_session_create(
        m->model, &(cr_session_settings){.heap = m->heap, .threads = 1, .keep_all = keep_all}, &session));
    return session;
}

/* ---- by byte ranges ---- */

static size_t offset_of(const cr_plan *plan, int id) {
    return plan->slots[plan->slots[id].root].slab_offset + plan->slots[id].root_offset;
}

/* The last step that reads a value, or n_steps for a graph output; its own step when nobody does. */
static void life_of(const cr_plan *plan, const cr_value *value, int *first, int *last) {
    *first = *last = -1;
    for (int s = 0; s < plan->n_steps; s++) {
        const cr_node *n = plan->steps[s].node;
        for (int i = 0; i < n->n_outputs; i++)
            if (n->outputs[i] == value)
                *first = *last = s;
        for (int i = 0; i < n->n_inputs; i++)
            if (n->inputs[i] == value)
                *last = s;
    }
    if (value->n_outputs)
        *last = plan->n_steps;
}

static bool shares_on_purpose(const cr_plan *plan, int a, int b) {
    return plan->slots[a].root == plan->slots[b].root;
}

static void check_ranges(const maker *m, const cr_plan *plan, unsigned seed) {
    for (int a = 0; a < m->model->n_values; a++)
        for (int b = 0; b < a; b++) {
            int a_first, a_last, b_first, b_last;
            const cr_slot *x = &plan->slots[a], *y = &plan->slots[b];
            if (x->place != CR_PLACE_SLAB || y->place != CR_PLACE_SLAB || shares_on_purpose(plan, a, b))
                continue;
            life_of(plan, m->model->values[a], &a_first, &a_last);
            life_of(plan, m->model->values[b], &b_first, &b_last);
            if (a_first > b_last || b_first > a_last)
                continue;
            size_t p = offset_of(plan, a), q = offset_of(plan, b);
            cr_assert(p + x->bytes <= q || q + y->bytes <= p, "seed %u: '%s' and '%s' overlap", seed,
                      m->model->values[a]->name, m->model->values[b]->name);
        }
    for (int id = 0; id < m->model->n_values; id++)
        if (plan->slots[id].place == CR_PLACE_SLAB) {
            cr_assert_leq(offset_of(plan, id) + plan->slots[id].bytes, plan->slab_bytes);
            cr_assert_eq((uintptr_t)plan->tensors[id].data % sizeof(float), 0);
        }
}

/* ---- by results ---- */

static void run(cr_session *session, const maker *m) {
    float x[50];
    for (int i = 0; i < 50; i++)
        x[i] = (float)(i - 25);
    OK(cr_session_input(session, 0, CREASE_FLOAT, 3, m->model->graph->inputs[0]->shape.dims, x, false));
    OK(cr_session_run(session));
}

static void check_results(const maker *m, cr_session *shared, cr_session *apart, unsigned seed) {
    const cr_graph *graph = m->model->graph;
    for (int i = 0; i < graph->n_outputs; i++) {
        const cr_tensor *a = cr_session_value(shared, graph->outputs[i]),
                        *b = cr_session_value(apart, graph->outputs[i]);
        size_t bytes;
        cr_assert(a && b && cr_shape_equal(&a->shape, &b->shape));
        cr_assert(cr_tensor_bytes(a->dtype, 0, &a->shape, &bytes));
        cr_assert(memcmp(a->data, b->data, bytes) == 0, "seed %u: output '%s' was overwritten", seed,
                  graph->outputs[i]->name);
    }
}

static unsigned first_seed(void) {
    const char *given = getenv("CREASE_SEED");
    return given ? (unsigned)strtoul(given, NULL, 10) : 1;
}

Test(memory_plan, no_two_live_values_overlap) {
    size_t saved = 0;
    for (unsigned round = 0, seed = first_seed(); round < ROUNDS; round++, seed++) {
        maker m = {.seed = seed};
        make(&m);
        cr_session *shared = session_of(&m, false), *apart = session_of(&m, true);
        check_ranges(&m, cr_session_plan(shared), seed);
        check_ranges(&m, cr_session_plan(apart), seed);
        for (int again = 0; again < 2; again++) {
            run(shared, &m);
            run(apart, &m);
            check_results(&m, shared, apart, seed);
        }
        saved += cr_session_plan(shared)->slab_bytes < cr_session_plan(apart)->slab_bytes;
        cr_session_destroy(shared);
        cr_session_destroy(apart);
        cr_model_destroy(m.model);
        cr_assert_eq(cr_heap_used(m.heap), 0);
        cr_heap_release(m.heap);
    }
    cr_assert_gt(saved, ROUNDS / 2, "memory was shared in %zu of %d graphs", saved, ROUNDS);
}

/* A chain of element-wise operators needs one piece of memory, whatever its length. */
Test(memory_plan, a_chain_is_computed_in_place) {
    maker m = {.seed = 1};
    cr_value *x;
    OK(cr_heap_create(NULL, 0, &m.heap));
    OK(cr_model_create(m.heap, &m.model));
    OK(cr_model_set_opset(m.model, "", 13));
    OK(cr_graph_add_value(m.model->graph, "x", true, &x));
    x->dtype = CREASE_FLOAT;
    x->shape = cr_shape_of(1, (int64_t[]){1000});
    OK(cr_graph_add_input(m.model->graph, x));
    cr_value *last = x;
    for (int i = 0; i < 20; i++)
        last = node(&m, "Relu", &last, 1, 1)->outputs[0];
    OK(cr_graph_add_output(m.model->graph, last));
    OK(cr_model_resolve(m.model));
    OK(cr_graph_infer(m.model->graph));
    cr_session *session = session_of(&m, false);
    cr_assert_lt(cr_session_plan(session)->slab_bytes, 2 * 4000 + 128);
    cr_session_destroy(session);
    cr_model_destroy(m.model);
    cr_heap_release(m.heap);
}
