#include "runtime/api/walk.h"

#include <string.h>

crease_status cr_walk_begin(cr_walk *walk, const cr_model *model, cr_heap *heap) {
    void *values, *pending;
    *walk = (cr_walk){.model = model, .heap = heap};
    CR_TRY(cr_alloc_zeroed(heap, (size_t)model->n_values * sizeof(cr_tensor), &values));
    walk->values = values;
    CR_TRY(cr_alloc_zeroed(heap, (size_t)model->n_values * sizeof(int), &pending));
    walk->pending = pending;
    for (int i = 0; i < model->n_values; i++)
        walk->pending[i] = model->values[i]->n_uses;
    return CREASE_OK;
}

void cr_walk_end(cr_walk *walk) {
    for (int i = 0; walk->values && i < walk->model->n_values; i++)
        cr_tensor_release(&walk->values[i]);
    if (walk->heap) {
        cr_free(walk->heap, walk->values);
        cr_free(walk->heap, walk->pending);
    }
    *walk = (cr_walk){0};
}

void cr_walk_set(cr_walk *walk, const cr_value *value, const cr_tensor *contents) {
    cr_tensor fresh = cr_tensor_retain(contents);
    cr_tensor_release(&walk->values[value->id]);
    walk->values[value->id] = fresh;
}

const cr_tensor *cr_walk_contents(const cr_walk *walk, const cr_value *value) {
    const cr_tensor *own = &walk->values[value->id];
    return own->dtype ? own : value->constant ? value->constant : value->initial;
}

crease_status cr_walk_gather(const cr_walk *walk, const cr_node *node, const cr_tensor **in) {
    for (int i = 0; i < node->n_inputs; i++) {
        in[i] = node->inputs[i] ? cr_walk_contents(walk, node->inputs[i]) : NULL;
        if (node->inputs[i] && !in[i])
            return cr_node_fail(node, CREASE_ERROR_INPUT, "its input '%s' has no contents",
                                node->inputs[i]->name);
    }
    return CREASE_OK;
}

crease_status cr_walk_eval(cr_walk *walk, const cr_eval *eval, const cr_node *node,
                           const cr_tensor *const *in) {
    void *block;
    CR_TRY(cr_alloc_zeroed(walk->heap, (size_t)(node->n_outputs + 1) * sizeof(cr_tensor), &block));
    cr_tensor *out = block;
    crease_status status = cr_eval_node(eval, node, in, out);
    for (int i = 0; status == CREASE_OK && i < node->n_outputs; i++) {
        if (node->outputs[i])
            cr_walk_set(walk, node->outputs[i], &out[i]);
        cr_tensor_release(&out[i]);
    }
    cr_free(walk->heap, block);
    return status;
}

void cr_walk_leave(cr_walk *walk, const cr_node *node) {
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] && walk->pending[node->outputs[i]->id] == 0)
            cr_tensor_release(&walk->values[node->outputs[i]->id]);
    for (int i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] && --walk->pending[node->inputs[i]->id] == 0)
            cr_tensor_release(&walk->values[node->inputs[i]->id]);
}

/* ---- whole graphs ---- */

static crease_status visit_node(const cr_walk *walk, const cr_node *node, cr_walk_visit *visit,
                                void *context) {
    cr_arena arena;
    const cr_tensor **in;
    cr_arena_init(&arena, walk->heap);
    crease_status status = CR_ARENA_NEW(&arena, &in, (size_t)node->n_inputs + 1);
    if (status == CREASE_OK)
        status = cr_walk_gather(walk, node, in);
    if (status == CREASE_OK)
        status = visit(context, node, in, &arena);
    cr_arena_clear(&arena);
    return status;
}

crease_status cr_walk_main(cr_walk *walk, cr_walk_visit *visit, void *context) {
    CR_FOR_NODES(node, walk->model->graph) {
        CR_TRY(visit_node(walk, node, visit, context));
        cr_walk_leave(walk, node);
    }
    return CREASE_OK;
}

/* What has no buffer of its own is a part of a scanned input, which the next run of the body overwrites. */
static crease_status give_output(const cr_walk *walk, const cr_value *value, cr_tensor *output) {
    const cr_tensor *from = cr_walk_contents(walk, value);
    size_t bytes;
    if (!from)
        return cr_fail(CREASE_ERROR_RUN, "output '%s' of a body has no contents", value->name);
    if (from->buffer) {
        *output = cr_tensor_retain(from);
        return CREASE_OK;
    }
    CR_TRY(cr_tensor_create(walk->heap, from->dtype, &from->shape, output));
    if (cr_tensor_bytes(from->dtype, 0, &from->shape, &bytes) && bytes)
        memcpy(output->data, from->data, bytes);
    return CREASE_OK;
}

static crease_status run_body(cr_walk *walk, const cr_graph *body, const cr_tensor *inputs,
                              cr_tensor *outputs, cr_walk_visit *visit, void *context) {
    for (int i = 0; i < body->n_inputs; i++)
        cr_walk_set(walk, body->inputs[i], &inputs[i]);
    CR_FOR_NODES(node, body)
    CR_TRY(visit_node(walk, node, visit, context));
    for (int i = 0; i < body->n_outputs; i++)
        CR_TRY(give_output(walk, body->outputs[i], &outputs[i]));
    return CREASE_OK;
}

crease_status cr_walk_body(cr_walk *walk, const cr_graph *body, const cr_tensor *inputs, cr_tensor *outputs,
                           cr_walk_visit *visit, void *context) {
    for (int i = 0; i < body->n_outputs; i++)
        outputs[i] = (cr_tensor){0};
    crease_status status = run_body(walk, body, inputs, outputs, visit, context);
    for (int i = 0; status != CREASE_OK && i < body->n_outputs; i++)
        cr_tensor_release(&outputs[i]);
    for (int i = 0; i < walk->model->n_values; i++)
        if (walk->model->values[i]->graph == body)
            cr_tensor_release(&walk->values[i]);
    return status;
}
