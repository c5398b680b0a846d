#include "passes/lower.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"

/* before: crease.Concat or crease.Channels, then crease.Channels or crease.Split (a channel shuffle
 *         and what stands around it)
 * after:  crease.Channels straight from the first sources, one for each output
 * not:    more than MAX_SOURCES sources; a Split whose parts lie in its input as whole blocks,
 *         which cost nothing as they are
 * why:    each output channel is the same channel of the same source, and every step less is a pass
 *         over memory less. What nobody uses any more is removed as dead. */

enum { MAX_SOURCES = 8 };

typedef struct origin {
    cr_value *value;
    int64_t channel;
} origin;

typedef struct choice {
    origin *origins; /* [n] */
    int64_t n;
    bool moved; /* some origin is not the node's own input */
} choice;

/* ---- where channels come from ---- */

static int64_t channels_of(const cr_value *value) {
    return value->shape.dims[1];
}

/* One step back, if the producer only chooses channels; false otherwise. */
static crease_status step_back(origin *o, bool *stepped) {
    const cr_node *node = o->value->producer;
    const int64_t *channels, *sources;
    int n, n_sources;
    *stepped = false;
    if (node && cr_is_ours(node, "Concat")) {
        int i = 0;
        for (; i + 1 < node->n_inputs && o->channel >= channels_of(node->inputs[i]); i++)
            o->channel -= channels_of(node->inputs[i]);
        o->value = node->inputs[i];
        *stepped = true;
    } else if (node && cr_is_ours(node, "Channels")) {
        CR_TRY(cr_attr_ints(node, "channels", &channels, &n));
        CR_TRY(cr_attr_ints(node, "sources", &sources, &n_sources));
        if (o->channel >= n)
            return CREASE_OK;
        o->value = node->inputs[n_sources ? sources[o->channel] : 0];
        o->channel = channels[o->channel];
        *stepped = true;
    }
    return CREASE_OK;
}

static crease_status trace(origin o, choice *to) {
    bool stepped;
    for (int steps = 0; steps < 16; steps++) {
        CR_TRY(step_back(&o, &stepped));
        if (!stepped)
            break;
        to->moved = true;
    }
    to->origins[to->n++] = o;
    return CREASE_OK;
}

/* ---- writing them down ---- */

/* The distinct values among the origins; more than MAX_SOURCES: 0. */
static int list_sources(const choice *c, cr_value **sources) {
    int n = 0;
    for (int64_t i = 0; i < c->n; i++) {
        int s = 0;
        while (s < n && sources[s] != c->origins[i].value)
            s++;
        if (s == MAX_SOURCES)
            return 0;
        if (s == n)
            sources[n++] = c->origins[i].value;
    }
    return n;
}

static crease_status write_maps(cr_node *node, const choice *c, cr_value *const *sources, cr_arena *arena) {
    int64_t *channels, *source;
    CR_TRY(CR_ARENA_NEW(arena, &channels, (size_t)c->n));
    CR_TRY(CR_ARENA_NEW(arena, &source, (size_t)c->n));
    for (int64_t i = 0; i < c->n; i++) {
        channels[i] = c->origins[i].channel;
        while (sources[source[i]] != c->origins[i].value)
            source[i]++;
    }
    CR_TRY(cr_node_set_ints(node, "channels", channels, (int)c->n));
    return cr_node_set_ints(node, "sources", source, (int)c->n);
}

/* A new node before `node` that gives `out`, which has lost its producer. */
static crease_status add_choice(cr_node *node, cr_value *out, const choice *c, cr_value **sources, int n,
                                cr_arena *arena) {
    cr_node *chosen;
    CR_TRY(
        cr_graph_add_node(node->graph, node, "Channels", "crease", out->name, sources, n, &out, 1, &chosen));
    chosen->lanes = node->lanes;
    return write_maps(chosen, c, sources, arena);
}

/* Output i of node is what `c` says, if that saves a step. */
static crease_status replace_output(cr_node *node, int i, const choice *c, cr_arena *arena) {
    cr_value *sources[MAX_SOURCES], *out = node->outputs[i], *unused;
    const int n = c->moved ? list_sources(c, sources) : 0;
    if (!n)
        return CREASE_OK;
    CR_TRY(cr_graph_add_value(node->graph, out->name, true, &unused));
    CR_TRY(cr_node_set_output(node, i, unused));
    return add_choice(node, out, c, sources, n, arena);
}

static crease_status merge_channels(cr_node *node, cr_arena *arena) {
    choice c = {0};
    const int64_t n = channels_of(node->outputs[0]);
    const origin own = {node->outputs[0], 0};
    CR_TRY(CR_ARENA_NEW(arena, &c.origins, (size_t)n));
    for (int64_t i = 0; i < n; i++) {
        origin o = {own.value, i};
        bool stepped;
        CR_TRY(step_back(&o, &stepped));
        CR_TRY(trace(o, &c));
    }
    return replace_output(node, 0, &c, arena);
}

static bool parts_are_whole_blocks(const cr_node *split) {
    for (int i = 0; i + 1 < split->n_outputs; i++)
        if (channels_of(split->outputs[i]) % split->lanes)
            return false;
    return true;
}

static crease_status merge_split(cr_node *node, cr_arena *arena) {
    int64_t first = 0;
    for (int i = 0; i < node->n_outputs; i++) {
        choice c = {0};
        const int64_t n = channels_of(node->outputs[i]);
        CR_TRY(CR_ARENA_NEW(arena, &c.origins, (size_t)n));
        for (int64_t k = 0; k < n; k++)
            CR_TRY(trace((origin){node->inputs[0], first + k}, &c));
        CR_TRY(replace_output(node, i, &c, arena));
        first += n;
    }
    return CREASE_OK;
}

static crease_status merge(cr_graph *graph, cr_arena *arena) {
    CR_FOR_NODES_SAFE(node, graph) {
        if (cr_is_ours(node, "Channels"))
            CR_TRY(merge_channels(node, arena));
        else if (cr_is_ours(node, "Split") && !parts_are_whole_blocks(node))
            CR_TRY(merge_split(node, arena));
    }
    return CREASE_OK;
}

crease_status cr_pass_merge_channels(cr_graph *graph) {
    cr_arena arena;
    cr_arena_init(&arena, graph->model->heap);
    crease_status status = merge(graph, &arena);
    cr_arena_clear(&arena);
    return status == CREASE_OK ? cr_model_drop_dead(graph->model) : status;
}
