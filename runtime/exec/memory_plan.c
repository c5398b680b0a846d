#include "runtime/exec/batch.h"

#include <stdlib.h>
#include <string.h>

/* 1. Every planned value gets a slot with the steps between which it is alive.
 * 2. Views, in-place results, concatenated inputs and split outputs move into another value's slot.
 * 3. The remaining roots are packed into one slab. */

static size_t round_up(size_t bytes) {
    return (bytes + CR_ALIGNMENT - 1) / CR_ALIGNMENT * CR_ALIGNMENT;
}

static crease_status add_slots(cr_plan *plan) {
    for (int s = 0; s < plan->n_steps; s++) {
        const cr_step *step = &plan->steps[s];
        for (int i = 0; i < step->node->n_outputs; i++) {
            const cr_value *value = step->node->outputs[i];
            if (!value || step->late)
                continue;
            cr_slot *slot = &plan->slots[value->id];
            const cr_info *info = &plan->walk.infos[value->id];
            if (!cr_tensor_bytes(info->dtype, info->lanes, &info->shape, &slot->bytes))
                return cr_node_fail(step->node, CREASE_ERROR_MEMORY, "output '%s' is too large", value->name);
            slot->place = CR_PLACE_SLAB;
            slot->first = slot->last = s;
        }
        for (int i = 0; i < step->node->n_inputs; i++)
            if (step->node->inputs[i])
                plan->slots[step->node->inputs[i]->id].last = s;
    }
    for (int i = 0; i < plan->graph->n_outputs; i++)
        plan->slots[plan->graph->outputs[i]->id].last = plan->n_steps;
    return CREASE_OK;
}

static void extend(cr_plan *plan, const cr_value *value, int s) {
    if (value && plan->slots[value->id].last < s)
        plan->slots[value->id].last = s;
}

/* What the subgraphs of a step's node use stays alive until that step. */
static void extend_for_body(cr_plan *plan, const cr_node *node, int s) {
    for (int a = 0; a < node->n_attrs; a++) {
        bool graphs = node->attrs[a].type == CR_ATTR_GRAPH || node->attrs[a].type == CR_ATTR_GRAPHS;
        for (int64_t g = 0; graphs && g < node->attrs[a].n; g++) {
            const cr_graph *body = node->attrs[a].graphs[g];
            for (int i = 0; i < body->n_outputs; i++)
                extend(plan, body->outputs[i], s);
            CR_FOR_NODES(inner, body) {
                for (int i = 0; i < inner->n_inputs; i++)
                    extend(plan, inner->inputs[i], s);
                extend_for_body(plan, inner, s);
            }
        }
    }
}

static void extend_for_bodies(cr_plan *plan) {
    for (int s = 0; s < plan->n_steps; s++)
        extend_for_body(plan, plan->steps[s].node, s);
}

/* Whether a value in the slab enters or leaves the loop. */
static bool crosses(const cr_plan *plan, const cr_loop *loop, const cr_value *value) {
    if (!value || plan->slots[value->id].place != CR_PLACE_SLAB)
        return false;
    const cr_slot *slot = &plan->slots[value->id];
    return slot->first < loop->first || slot->last >= loop->end;
}

/* What crosses the border of a loop is there during all of its passes. */
static void extend_for_loop(cr_plan *plan, const cr_loop *loop, const cr_value *value) {
    if (!crosses(plan, loop, value))
        return;
    cr_slot *slot = &plan->slots[value->id];
    slot->first = slot->first > loop->first ? loop->first : slot->first;
    slot->last = slot->last < loop->end - 1 ? loop->end - 1 : slot->last;
}

static void extend_for_loops(cr_plan *plan) {
    for (int l = 0; l < plan->n_loops; l++)
        for (int s = plan->loops[l].first; s < plan->loops[l].end; s++) {
            const cr_node *node = plan->steps[s].node;
            for (int i = 0; i < node->n_inputs; i++)
                extend_for_loop(plan, &plan->loops[l], node->inputs[i]);
            for (int i = 0; i < node->n_outputs; i++)
                extend_for_loop(plan, &plan->loops[l], node->outputs[i]);
        }
}

/* Whether a step of a loop sees a value from outside, whose memory other passes need. */
static bool sees_outside(const cr_plan *plan, int s) {
    const cr_loop *loop = cr_plan_loop(plan, s);
    const cr_node *node = plan->steps[s].node;
    for (int i = 0; loop && i < node->n_inputs; i++)
        if (crosses(plan, loop, node->inputs[i]))
            return true;
    for (int i = 0; loop && i < node->n_outputs; i++)
        if (crosses(plan, loop, node->outputs[i]))
            return true;
    return false;
}

/* Let `value` live inside `host` at an offset; host's life covers both. */
static void move_into(cr_plan *plan, int value, int host, size_t offset) {
    cr_slot *inner = &plan->slots[value], *outer = &plan->slots[host];
    for (int id = 0; id < plan->model->n_values; id++)
        if (plan->slots[id].root == value) {
            plan->slots[id].root = host;
            plan->slots[id].root_offset += offset;
        }
    outer->first = inner->first < outer->first ? inner->first : outer->first;
    outer->last = inner->last > outer->last ? inner->last : outer->last;
}

static bool in_slab(const cr_plan *plan, const cr_value *value) {
    return value && plan->slots[value->id].place == CR_PLACE_SLAB;
}

static void alias_view(cr_plan *plan, const cr_node *node) {
    const cr_value *in = node->inputs[0], *out = node->outputs[0];
    if (!in_slab(plan, in) || !in_slab(plan, out) || plan->slots[in->id].bytes != plan->slots[out->id].bytes)
        return;
    const cr_slot *from = &plan->slots[in->id];
    move_into(plan, out->id, from->root, from->root_offset);
}

/* Whether output 0 of step s may be the memory of input i: nobody needs it afterwards. */
static bool can_take(const cr_plan *plan, const cr_node *node, int i, int s) {
    const cr_value *in = node->inputs[i], *out = node->outputs[0];
    if (!in_slab(plan, in) || !in_slab(plan, out))
        return false;
    const cr_slot *from = &plan->slots[in->id];
    return plan->slots[from->root].last == s && from->bytes == plan->slots[out->id].bytes &&
           plan->walk.infos[in->id].dtype == plan->walk.infos[out->id].dtype;
}

static void take(cr_plan *plan, const cr_node *node, int i) {
    const cr_slot *from = &plan->slots[node->inputs[i]->id];
    move_into(plan, node->outputs[0]->id, from->root, from->root_offset);
}

/* Whether another input is a part of input i, or lies across it: it would be overwritten while it is still
 * read for other elements. One that has the very same bytes is read element by element. */
static bool is_shared(const cr_plan *plan, const cr_node *node, int i) {
    const cr_slot *own = &plan->slots[node->inputs[i]->id];
    for (int j = 0; j < node->n_inputs; j++) {
        if (j == i || !in_slab(plan, node->inputs[j]))
            continue;
        const cr_slot *other = &plan->slots[node->inputs[j]->id];
        const bool overlaps = other->root == own->root &&
                              other->root_offset < own->root_offset + own->bytes &&
                              own->root_offset < other->root_offset + other->bytes;
        if (overlaps && (other->root_offset != own->root_offset || other->bytes != own->bytes))
            return true;
    }
    return false;
}

static void alias_in_place(cr_plan *plan, const cr_node *node, int s) {
    for (int i = 0; i < node->n_inputs; i++)
        if (can_take(plan, node, i, s) && !is_shared(plan, node, i)) {
            take(plan, node, i);
            return;
        }
}

/* The result overwrites the residual, which no other input may share memory with. */
static void alias_residual(cr_plan *plan, const cr_node *node, int s) {
    if (node->n_inputs <= CR_OP_RESIDUAL || !node->inputs[CR_OP_RESIDUAL] ||
        !can_take(plan, node, CR_OP_RESIDUAL, s))
        return;
    for (int i = 0; i < node->n_inputs; i++)
        if (i != CR_OP_RESIDUAL && node->inputs[i] &&
            plan->slots[node->inputs[i]->id].root == plan->slots[node->inputs[CR_OP_RESIDUAL]->id].root)
            return;
    take(plan, node, CR_OP_RESIDUAL);
}

/* Along its axis the parts of a tensor are contiguous when everything before the axis is 1. Blocked tensors
 * split between whole channel blocks only. */
static bool parts_are_contiguous(const cr_plan *plan, const cr_node *node, const cr_value *whole,
                                 cr_value *const *parts, int n) {
    const cr_info *info = &plan->walk.infos[whole->id];
    int64_t axis = 0, outer;
    int resolved;
    const cr_attr *attr = cr_attr_find(node, "axis");
    if (attr && attr->type == CR_ATTR_INT)
        axis = attr->ints[0];
    else if (cr_node_is(node, "Concat"))
        axis = 1; /* Concat 1's default; later versions require the attribute */
    if (axis < -info->shape.rank || axis >= info->shape.rank)
        return false;
    resolved = (int)(axis < 0 ? axis + info->shape.rank : axis);
    if (!cr_shape_product(&info->shape, 0, resolved, &outer) || outer != 1)
        return false;
    for (int i = 0; i < n; i++) {
        if (!parts[i])
            return false;
        const cr_info *part = &plan->walk.infos[parts[i]->id];
        if (part->lanes != info->lanes ||
            (info->lanes && (resolved != 1 || part->shape.dims[1] % info->lanes)))
            return false;
    }
    return true;
}

static bool repeats(cr_value *const *values, int i) {
    for (int j = 0; j < i; j++)
        if (values[j] == values[i])
            return true;
    return false;
}

static void alias_join(cr_plan *plan, const cr_node *node) {
    const cr_value *out = node->outputs[0];
    if (!in_slab(plan, out) || !parts_are_contiguous(plan, node, out, node->inputs, node->n_inputs))
        return;
    size_t offset = 0, bytes;
    for (int i = 0; i < node->n_inputs; i++) {
        const cr_value *in = node->inputs[i];
        const cr_info *info = &plan->walk.infos[in->id];
        if (!cr_tensor_bytes(info->dtype, info->lanes, &info->shape, &bytes))
            return;
        const cr_slot *slot = &plan->slots[in->id];
        bool whole = in_slab(plan, in) && slot->root_offset == 0 && plan->slots[slot->root].bytes == bytes;
        if (whole && !repeats(node->inputs, i) && slot->root != plan->slots[out->id].root &&
            plan->slots[slot->root].last < plan->n_steps)
            move_into(plan, slot->root, plan->slots[out->id].root, plan->slots[out->id].root_offset + offset);
        offset += bytes;
    }
}

static void alias_parts(cr_plan *plan, const cr_node *node) {
    const cr_value *in = node->inputs[0];
    if (!in_slab(plan, in) || !parts_are_contiguous(plan, node, in, node->outputs, node->n_outputs))
        return;
    size_t offset = 0;
    for (int i = 0; i < node->n_outputs; i++) {
        const cr_value *out = node->outputs[i];
        const cr_slot *from = &plan->slots[in->id];
        if (!in_slab(plan, out))
            return;
        size_t bytes = plan->slots[out->id].bytes;
        move_into(plan, out->id, from->root, from->root_offset + offset);
        offset += bytes;
    }
}

static void alias(cr_plan *plan) {
    for (int s = 0; s < plan->n_steps; s++) {
        const cr_node *node = plan->steps[s].node;
        unsigned flags = node->op->flags;
        if (plan->steps[s].late || node->n_inputs == 0 || node->n_outputs == 0 || !node->outputs[0] ||
            !node->inputs[0] || sees_outside(plan, s))
            continue;
        if (flags & CR_OP_VIEW)
            alias_view(plan, node);
        else if (flags & CR_OP_INPLACE)
            alias_in_place(plan, node, s);
        else if (flags & CR_OP_ADDS)
            alias_residual(plan, node, s);
        else if (flags & CR_OP_JOIN)
            alias_join(plan, node);
        else if (flags & CR_OP_PART)
            alias_parts(plan, node);
    }
}

/* ---- packing ---- */

typedef struct interval {
    int id, first, last;
    size_t bytes, offset;
} interval;

static int by_size(const void *a, const void *b) {
    const interval *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->id - y->id;
}

static bool overlap(const interval *a, const interval *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* Lowest offset at which `placed[n]` fits between those alive at the same time; placed[0, n) are sorted by
 * offset. */
static size_t first_fit(const interval *placed, size_t n, const interval *wanted) {
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (!overlap(&placed[i], wanted))
            continue;
        if (placed[i].offset >= at + wanted->bytes)
            break;
        size_t end = placed[i].offset + placed[i].bytes;
        at = end > at ? end : at;
    }
    return at;
}

static void insert(interval *placed, size_t n, const interval *one) {
    size_t i = n;
    for (; i > 0 && placed[i - 1].offset > one->offset; i--)
        placed[i] = placed[i - 1];
    placed[i] = *one;
}

static crease_status pack(cr_plan *plan) {
    interval *wanted, *placed;
    size_t n = 0, n_values = (size_t)plan->model->n_values;
    CR_TRY(CR_ARENA_NEW(&plan->arena, &wanted, n_values));
    CR_TRY(CR_ARENA_NEW(&plan->arena, &placed, n_values));
    for (int id = 0; id < plan->model->n_values; id++) {
        const cr_slot *slot = &plan->slots[id];
        if (slot->place == CR_PLACE_SLAB && slot->root == id)
            wanted[n++] = (interval){id, slot->first, slot->last, round_up(slot->bytes ? slot->bytes : 1), 0};
    }
    if (n)
        qsort(wanted, n, sizeof *wanted, by_size);
    for (size_t i = 0; i < n; i++) {
        wanted[i].offset = first_fit(placed, i, &wanted[i]);
        insert(placed, i, &wanted[i]);
        plan->slots[wanted[i].id].slab_offset = wanted[i].offset;
        size_t end = wanted[i].offset + wanted[i].bytes;
        plan->slab_bytes = end > plan->slab_bytes ? end : plan->slab_bytes;
    }
    return CREASE_OK;
}

crease_status cr_plan_memory(cr_plan *plan, bool keep_all) {
    CR_TRY(add_slots(plan));
    extend_for_bodies(plan);
    extend_for_loops(plan);
    if (!keep_all)
        alias(plan);
    for (int id = 0; keep_all && id < plan->model->n_values; id++) {
        plan->slots[id].first = 0;
        plan->slots[id].last = plan->n_steps;
    }
    return pack(plan);
}
