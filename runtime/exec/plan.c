#include "runtime/exec/batch.h"
#include "runtime/exec/body.h"

#include <string.h>

static bool all_known(const cr_plan *plan, const cr_node *node) {
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] && !plan->walk.infos[node->outputs[i]->id].known)
            return false;
    return true;
}

static bool is_concrete(const cr_info *info) {
    return info->dtype && cr_shape_is_static(&info->shape);
}

/* Halves are widened node by node, which the one-node evaluation does. */
static bool needs_late(const cr_plan *plan, const cr_node *node) {
    if (node->op->flags & CR_OP_BODY)
        return true;
    for (int i = 0; i < node->n_inputs; i++)
        if (node->inputs[i]) {
            const cr_info *info = &plan->walk.infos[node->inputs[i]->id];
            if (!is_concrete(info) || (cr_dtype_is_half(info->dtype) && !(node->op->flags & CR_OP_HALF)))
                return true;
        }
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i]) {
            const cr_info *info = &plan->walk.infos[node->outputs[i]->id];
            if (!is_concrete(info) || (cr_dtype_is_half(info->dtype) && !(node->op->flags & CR_OP_HALF)))
                return true;
        }
    return false;
}

/* What a step, of a loop or of none, is told of a value. */
static const cr_info *step_info(const cr_plan *plan, const cr_loop *loop, const cr_value *value) {
    const cr_part *part = loop ? cr_loop_part(loop, value->id) : NULL;
    return part ? &part->info : &plan->walk.infos[value->id];
}

static crease_status list_infos(cr_plan *plan, const cr_loop *loop, const cr_node *node, const cr_info ***in,
                                cr_info **out) {
    CR_TRY(CR_ARENA_NEW(&plan->arena, in, (size_t)node->n_inputs + 1));
    CR_TRY(CR_ARENA_NEW(&plan->arena, out, (size_t)node->n_outputs + 1));
    for (int i = 0; i < node->n_inputs; i++)
        (*in)[i] = node->inputs[i] ? step_info(plan, loop, node->inputs[i]) : NULL;
    for (int i = 0; i < node->n_outputs; i++)
        (*out)[i] =
            node->outputs[i] ? *step_info(plan, loop, node->outputs[i]) : (cr_info){.shape = {.rank = -1}};
    return CREASE_OK;
}

static crease_status note_passes(cr_plan *plan, cr_step *step, int64_t passes) {
    return cr_arena_format(&plan->arena, &step->note, "%s%sthe batch in %lld parts", step->note,
                           *step->note ? "; " : "", (long long)passes);
}

/* What a late step is likely to be given and to give, as far as its weights tell it; a residual is like the
 * output. false: they do not. */
static bool guess_infos(const cr_node *node, const cr_info **in, cr_info *ins, cr_info *out) {
    for (int i = 0; i < node->n_inputs; i++)
        if (in[i]) {
            ins[i] = *in[i];
            in[i] = &ins[i];
        }
    if (!cr_node_guess_input(node, in[1], &ins[0]) || cr_node_infer(node, in, out) != CREASE_OK)
        return false;
    const bool adds = (node->op->flags & CR_OP_ADDS) && node->n_inputs > CR_OP_RESIDUAL && in[CR_OP_RESIDUAL];
    if (adds)
        ins[CR_OP_RESIDUAL] = out[0];
    for (int i = 0; i < node->n_inputs; i++)
        if (in[i] && (!is_concrete(in[i]) || cr_dtype_is_half(in[i]->dtype)))
            return false;
    return is_concrete(&out[0]);
}

/* Whether a late step is to be prepared now, by the likely shapes that in and out then have: its weights are
 * packed with those of other steps, and their plain form can go. */
static crease_status look_ahead(cr_plan *plan, const cr_node *node, const cr_info **in, cr_info *out,
                                bool *ahead) {
    const cr_value *weights = cr_node_input(node, 1);
    cr_info *ins;
    *ahead = (node->op->flags & CR_OP_AHEAD) && node->inputs[0] && weights && weights->constant;
    if (!*ahead)
        return CREASE_OK;
    CR_TRY(CR_ARENA_NEW(&plan->arena, &ins, (size_t)node->n_inputs));
    *ahead = guess_infos(node, in, ins, out);
    return CREASE_OK;
}

static void keep_prepared(cr_plan *plan, cr_step *step, const cr_prepare *p) {
    if (p->algorithm)
        step->algorithm = p->algorithm;
    if (p->note)
        step->note = p->note;
    if (p->refused)
        step->refused = p->refused;
    if (step->late) {
        step->ahead = step->algorithm;
        return;
    }
    step->state = p->state;
    step->scratch_bytes = p->scratch_bytes;
    if (plan->scratch_bytes < step->scratch_bytes)
        plan->scratch_bytes = step->scratch_bytes;
}

static crease_status prepare_step(cr_plan *plan, const cr_plan_settings *settings, cr_step *step) {
    const cr_node *node = step->node;
    const cr_loop *loop = cr_plan_loop(plan, (int)(step - plan->steps));
    const cr_info **in;
    cr_info *out;
    bool ahead = false;
    CR_TRY(list_infos(plan, loop, node, &in, &out));
    step->passes = loop ? loop->passes : 1;
    step->macs = cr_node_macs(node, in, out);
    if (step->macs > 0)
        step->macs *= step->passes;
    if (step->late)
        CR_TRY(look_ahead(plan, node, in, out, &ahead));
    if (!node->op->prepare || (step->late && !ahead))
        return CREASE_OK;
    cr_prepare prepare = {.node = node,
                          .op = node->op,
                          .opset = cr_model_opset(plan->model, node->domain),
                          .n_in = node->n_inputs,
                          .n_out = node->n_outputs,
                          .in = in,
                          .out = out,
                          .is_part = loop != NULL,
                          .any_shape = step->late,
                          .arena = &plan->arena,
                          .pool = settings->pool,
                          .packs = settings->packs,
                          .exact = settings->exact,
                          .convolution = settings->convolution,
                          .tuner = settings->tuner,
                          .byte_cost = settings->byte_cost};
    CR_TRY(node->op->prepare(&prepare));
    keep_prepared(plan, step, &prepare);
    return loop ? note_passes(plan, step, loop->passes) : CREASE_OK;
}

static cr_tensor *step_tensor(const cr_plan *plan, const cr_loop *loop, const cr_value *value) {
    cr_part *part = loop ? cr_loop_part(loop, value->id) : NULL;
    return part ? &part->tensor : &plan->tensors[value->id];
}

static crease_status link_step(cr_plan *plan, cr_step *step) {
    const cr_node *node = step->node;
    const cr_loop *loop = cr_plan_loop(plan, (int)(step - plan->steps));
    CR_TRY(CR_ARENA_NEW(&plan->arena, &step->in, (size_t)node->n_inputs + 1));
    CR_TRY(CR_ARENA_NEW(&plan->arena, &step->out, (size_t)node->n_outputs + 1));
    for (int i = 0; i < node->n_inputs; i++)
        step->in[i] = node->inputs[i] ? step_tensor(plan, loop, node->inputs[i]) : NULL;
    for (int i = 0; i < node->n_outputs; i++)
        step->out[i] = node->outputs[i] ? step_tensor(plan, loop, node->outputs[i]) : NULL;
    return CREASE_OK;
}

static crease_status list_steps(cr_plan *plan) {
    char text[256];
    CR_TRY(CR_ARENA_NEW(&plan->arena, &plan->steps, (size_t)plan->graph->n_nodes));
    CR_FOR_NODES(node, plan->graph) {
        if (!node->op)
            return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "%s",
                                cr_node_problem(node, text, sizeof text));
        if (all_known(plan, node))
            continue;
        cr_step *step = &plan->steps[plan->n_steps++];
        *step = (cr_step){.node = node, .algorithm = "", .note = "", .refused = ""};
        step->late = needs_late(plan, node);
        plan->any_late |= step->late;
    }
    return CREASE_OK;
}

static crease_status add_steps(cr_plan *plan, const cr_plan_settings *settings) {
    CR_TRY(list_steps(plan));
    if (!plan->outer && !settings->keep_all)
        CR_TRY(cr_plan_batch(plan, settings->part_bytes, cr_pool_threads(settings->pool)));
    for (int s = 0; s < plan->n_steps; s++) {
        CR_TRY(prepare_step(plan, settings, &plan->steps[s]));
        CR_TRY(link_step(plan, &plan->steps[s]));
    }
    return CREASE_OK;
}

/* Tensors of values that are there before the first step. */
static void set_tensors(cr_plan *plan) {
    for (int id = 0; id < plan->model->n_values; id++) {
        const cr_info *info = &plan->walk.infos[id];
        const cr_value *value = plan->model->values[id];
        plan->tensors[id] = (cr_tensor){.dtype = info->dtype, .lanes = info->lanes, .shape = info->shape};
        plan->slots[id] = (cr_slot){.root = id, .first = -1, .last = -1};
        if (info->known) {
            plan->tensors[id] = *info->known;
            plan->tensors[id].buffer = NULL; /* borrowed from the model or the walk */
            plan->slots[id].place = CR_PLACE_CONSTANT;
        } else if (value->is_input || value->graph != plan->graph) {
            plan->slots[id].place = CR_PLACE_INPUT;
        }
    }
}

/* Constants that have lost their contents to packing. */
static void forget_contents(cr_plan *plan) {
    for (int id = 0; id < plan->model->n_values; id++)
        if (plan->model->values[id]->constant)
            plan->tensors[id].data = plan->model->values[id]->constant->data;
}

/* What is known of the inputs, and of everything around a body. */
static crease_status set_infos(cr_plan *plan, const cr_plan_inputs *inputs) {
    const cr_graph *graph = plan->graph;
    CR_TRY(CR_ARENA_NEW(&plan->arena, &plan->input_shapes, (size_t)graph->n_inputs));
    CR_TRY(CR_ARENA_NEW(&plan->arena, &plan->input_types, (size_t)graph->n_inputs));
    CR_TRY(cr_infer_walk_begin(&plan->walk, plan->model, plan->heap));
    if (plan->outer)
        cr_body_set_infos(plan);
    for (int i = 0; i < graph->n_inputs; i++) {
        cr_info *info = &plan->walk.infos[graph->inputs[i]->id];
        plan->input_shapes[i] = info->shape = inputs->shapes[i];
        if (inputs->types)
            info->dtype = inputs->types[i];
        plan->input_types[i] = info->dtype;
    }
    return CREASE_OK;
}

static crease_status prepare(cr_plan *plan, const cr_plan_settings *settings, const cr_plan_inputs *inputs) {
    size_t n_values = (size_t)plan->model->n_values;
    CR_TRY(CR_ARENA_NEW(&plan->arena, &plan->tensors, n_values));
    CR_TRY(CR_ARENA_NEW(&plan->arena, &plan->slots, n_values));
    CR_TRY(set_infos(plan, inputs));
    CR_TRY(cr_infer_walk_graph(&plan->walk, plan->graph));
    set_tensors(plan);
    CR_TRY(add_steps(plan, settings));
    return cr_plan_memory(plan, settings->keep_all);
}

static crease_status fill(cr_plan *plan, const cr_plan_settings *settings) {
    CR_TRY(cr_packs_fill(settings->packs, settings->pool, settings->forget));
    forget_contents(plan);
    CR_TRY(cr_alloc_lasting(plan->heap, plan->slab_bytes, &plan->slab));
    CR_TRY(cr_alloc(plan->heap, plan->scratch_bytes, &plan->scratch));
    for (int id = 0; id < plan->model->n_values; id++) {
        const cr_slot *slot = &plan->slots[id];
        if (slot->place == CR_PLACE_SLAB)
            plan->tensors[id].data =
                (char *)plan->slab + plan->slots[slot->root].slab_offset + slot->root_offset;
    }
    return CREASE_OK;
}

/* With what it asked to be packed. */
static void discard(cr_plan *plan, const cr_plan_settings *settings) {
    cr_packs_drop_unfilled(settings->packs);
    cr_plan_destroy(plan);
}

/* All but what takes much memory. */
static crease_status begin(const cr_graph *graph, const cr_plan_settings *settings,
                           const cr_plan_inputs *inputs, cr_plan **plan) {
    void *block;
    *plan = NULL;
    CR_TRY(cr_alloc_zeroed(settings->heap, sizeof(cr_plan), &block));
    cr_plan *p = block;
    p->heap = settings->heap;
    p->model = graph->model;
    p->graph = graph;
    p->outer = inputs->outer;
    cr_arena_init(&p->arena, settings->heap);
    crease_status status = prepare(p, settings, inputs);
    if (status == CREASE_OK)
        *plan = p;
    else
        discard(p, settings);
    return status;
}

/* From a cycle for ten thousand bytes to more than any algorithm saves. */
enum { BYTE_COSTS = 104 };

static double byte_cost(int i) {
    double cost = 1e-4;
    while (i-- > 0)
        cost *= 1.25;
    return cost;
}

/* The lowest cost of a byte with which the packed weights are as small as they should be, or else the
 * highest: under one cost for all, layers give up large weights in the order of what those save for each
 * byte. */
static crease_status begin_within_limit(const cr_graph *graph, const cr_plan_settings *settings,
                                        const cr_plan_inputs *inputs, cr_plan **plan) {
    const size_t limit = settings->weight_limit_bytes;
    cr_plan_settings priced = *settings;
    CR_TRY(begin(graph, settings, inputs, plan));
    if (!limit || cr_packs_bytes(settings->packs) <= limit)
        return CREASE_OK;
    int low = 0, high = BYTE_COSTS;
    while (low < high) {
        const int middle = (low + high) / 2;
        priced.byte_cost = byte_cost(middle);
        discard(*plan, settings);
        CR_TRY(begin(graph, &priced, inputs, plan));
        if (cr_packs_bytes(settings->packs) <= limit)
            high = middle;
        else
            low = middle + 1;
    }
    discard(*plan, settings);
    priced.byte_cost = byte_cost(high);
    return begin(graph, &priced, inputs, plan);
}

crease_status cr_plan_create(const cr_graph *graph, const cr_plan_settings *settings,
                             const cr_plan_inputs *inputs, cr_plan **plan) {
    CR_TRY(begin_within_limit(graph, settings, inputs, plan));
    crease_status status = fill(*plan, settings);
    if (status != CREASE_OK) {
        discard(*plan, settings);
        *plan = NULL;
    }
    return status;
}

void cr_plan_destroy(cr_plan *plan) {
    if (!plan)
        return;
    cr_bodies_destroy(plan->bodies);
    for (int id = 0; plan->tensors && id < plan->model->n_values; id++)
        cr_buffer_release(plan->tensors[id].buffer);
    for (int s = 0; s < plan->n_steps; s++)
        cr_free(plan->heap, plan->steps[s].said);
    cr_infer_walk_end(&plan->walk);
    cr_free(plan->heap, plan->slab);
    cr_free(plan->heap, plan->scratch);
    cr_arena_clear(&plan->arena);
    cr_free(plan->heap, plan);
}
