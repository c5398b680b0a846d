#include "passes/lower.h"
#include "passes/pass.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"
#include "runtime/graph/verify.h"
#include "runtime/ops/infer.h"

#include <stdio.h>
#include <string.h>

bool cr_is_ours(const cr_node *node, const char *op_type) {
    return strcmp(node->domain, "crease") == 0 && strcmp(node->op_type, op_type) == 0;
}

bool cr_is_pair(const cr_node *node) {
    static const char *const pairs[] = {"Add", "Sub", "Mul", "Max", "Min"};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (cr_is_ours(node, pairs[i]))
            return true;
    return false;
}

crease_status cr_node_set_activation(cr_node *node, const char *name, const cr_activation *activation) {
    char text[32];
    CR_TRY(cr_node_set_int(node, name, activation->kind));
    snprintf(text, sizeof text, "%s_a", name);
    CR_TRY(cr_node_set_float(node, text, activation->a));
    snprintf(text, sizeof text, "%s_b", name);
    CR_TRY(cr_node_set_float(node, text, activation->b));
    snprintf(text, sizeof text, "%s_c", name);
    return cr_node_set_float(node, text, activation->c);
}

crease_status cr_node_take_activation(cr_node *to, const char *name, int slope, const cr_node *from,
                                      int from_slope) {
    cr_activation act;
    CR_TRY(cr_blocked_activation(from, "act", &act));
    if (from_slope >= 0 && cr_node_input(from, from_slope))
        CR_TRY(cr_node_set_input(to, slope, from->inputs[from_slope]));
    return cr_node_set_activation(to, name, &act);
}

bool cr_node_has_activation(const cr_node *node, const char *name) {
    int64_t kind;
    return cr_attr_int(node, name, CR_ACT_NONE, &kind) == CREASE_OK && kind != CR_ACT_NONE;
}

crease_status cr_value_like(cr_graph *graph, const cr_value *like, cr_value **value) {
    CR_TRY(cr_graph_add_value(graph, like->name, true, value));
    (*value)->dtype = CREASE_FLOAT;
    (*value)->shape = like->shape;
    return CREASE_OK;
}

cr_node *cr_node_only_user(const cr_node *node) {
    const cr_value *out = cr_node_output(node, 0);
    if (!out || !cr_value_has_one_use(out) || out->uses[0].node->graph != node->graph)
        return NULL;
    return out->uses[0].node;
}

cr_value *cr_node_other_operand(const cr_node *node, const cr_value *own) {
    return node->inputs[node->inputs[0] == own ? 1 : 0];
}

static crease_status visit_each(const cr_graph *graph, const cr_extents *extents, cr_arena *arena,
                                bool (*wanted)(const cr_node *node),
                                crease_status (*visit)(const cr_extents *extents, cr_node *node)) {
    cr_node **nodes;
    size_t n = 0;
    CR_TRY(CR_ARENA_NEW(arena, &nodes, (size_t)graph->n_nodes));
    CR_FOR_NODES(node, graph)
    if (wanted(node))
        nodes[n++] = node;
    for (size_t i = 0; i < n; i++)
        CR_TRY(visit(extents, nodes[i]));
    return CREASE_OK;
}

crease_status cr_lower_each(const cr_graph *graph, bool (*wanted)(const cr_node *node),
                            crease_status (*visit)(const cr_extents *extents, cr_node *node)) {
    cr_arena arena;
    cr_extents *extents;
    CR_TRY(cr_extents_create(graph, &extents));
    cr_arena_init(&arena, graph->model->heap);
    crease_status status = visit_each(graph, extents, &arena, wanted, visit);
    cr_arena_clear(&arena);
    cr_extents_free(extents);
    return status;
}

/* ---- the stages ---- */

static crease_status read_quantized(cr_graph *graph, const cr_lower_settings *settings) {
    const cr_model *model = graph->model;
    CR_TRY(cr_model_verify_after(model, cr_pass_expand_quantized(graph)));
    CR_TRY(cr_model_verify_after(model, cr_pass_lower_quantized(graph)));
    return settings->bytes ? cr_model_verify_after(model, cr_pass_note_bytes(graph)) : CREASE_OK;
}

static crease_status rewrite(cr_graph *graph, const cr_lower_settings *settings) {
    const cr_model *model = graph->model;
    CR_TRY(cr_model_verify_after(model, cr_pass_widen_halves(graph)));
    CR_TRY(cr_model_verify_after(model, cr_pass_cancel_transposes(graph)));
    CR_TRY(cr_model_verify_after(model, cr_pass_tidy_shapes(graph)));
    CR_TRY(cr_model_verify_after(model, cr_pass_split_phases(graph, settings->lanes)));
    CR_TRY(cr_model_verify_after(model, cr_pass_fuse_pad(graph)));
    return cr_model_verify_after(model, cr_pass_share_concat(graph));
}

static crease_status use_blocks(cr_graph *graph, const cr_lower_settings *settings) {
    cr_model *model = graph->model;
    CR_TRY(cr_model_verify_after(model, cr_pass_lower_activations(graph)));
    CR_TRY(cr_model_verify_after(model, cr_pass_merge_quantized(graph)));
    CR_TRY(cr_model_verify_after(model, cr_pass_choose_layout(graph, settings->lanes)));
    CR_TRY(cr_model_verify_after(model, cr_pass_merge_channels(graph)));
    CR_TRY(cr_model_verify_after(model, cr_pass_fuse_elementwise(graph)));
    CR_TRY(cr_model_verify_after(model, cr_pass_fuse_prologue(graph, settings->fold)));
    CR_TRY(cr_model_drop_dead(model)); /* what was absorbed is no user any more */
    CR_TRY(cr_model_verify_after(model, cr_pass_fuse_epilogue(graph)));
    if (settings->bytes)
        CR_TRY(cr_model_verify_after(model, cr_pass_use_bytes(graph)));
    CR_TRY(cr_model_verify_after(model, cr_pass_fuse_means(graph)));
    CR_TRY(cr_model_verify_after(model, cr_pass_fuse_gemm(graph)));
    CR_TRY(cr_model_drop_dead(model));
    return cr_model_verify_after(model, cr_pass_merge_siblings(graph, settings));
}

static crease_status use_blocks_apart(cr_graph *graph, const cr_lower_settings *settings) {
    CR_TRY(cr_body_part(graph));
    CR_TRY(use_blocks(graph, settings));
    return cr_body_join(graph);
}

static crease_status state_lists(cr_graph *graph, const cr_lower_settings *settings) {
    (void)settings;
    return cr_model_verify_after(graph->model, cr_pass_known_lists(graph));
}

crease_status cr_optimize_lower(cr_model *model, const cr_lower_settings *settings) {
    CR_TRY(cr_lower_graphs(model, read_quantized, settings));
    CR_TRY(cr_model_verify_after(model, cr_pass_lift_invariants(model)));
    CR_TRY(cr_model_verify_after(model, cr_pass_fold_constants(model, NULL)));
    CR_TRY(cr_model_verify_after(model, cr_pass_drop_noops(model)));
    CR_TRY(cr_lower_graphs(model, rewrite, settings));
    CR_TRY(cr_model_resolve(model));
    CR_TRY(cr_graph_infer(model->graph));
    CR_TRY(cr_lower_graphs(model, state_lists, settings));
    CR_TRY(cr_lower_graphs(model, use_blocks_apart, settings));
    model->lowered = true;
    return cr_model_resolve(model);
}
