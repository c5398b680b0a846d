#include "runtime/graph/edit.h"
#include "runtime/graph/names.h"

#include <stdio.h>
#include <string.h>

crease_status cr_graph_create(cr_model *model, cr_node *owner, cr_graph **graph) {
    *graph = NULL;
    CR_TRY(CR_ARENA_NEW(&model->arena, graph, 1));
    (*graph)->model = model;
    (*graph)->owner = owner;
    (*graph)->name = (*graph)->doc = "";
    return CREASE_OK;
}

/* ---- values ---- */

/* The name itself, or one made of it in text. */
static const char *unique_name(const cr_model *model, const char *name, char *text, size_t bytes) {
    const char *unique = name;
    for (int i = 2; cr_names_has(model->names, unique); i++) {
        snprintf(text, bytes, "%.900s_%d", name, i);
        unique = text;
    }
    return unique;
}

crease_status cr_graph_add_value(cr_graph *graph, const char *name, bool unique, cr_value **value) {
    cr_model *model = graph->model;
    const char *chosen = name ? name : "crease_value";
    char text[1024];
    *value = NULL;
    if (unique || !name)
        chosen = unique_name(model, chosen, text, sizeof text);
    CR_TRY(cr_grow(model->heap, (void **)&model->values, &model->capacity_values, (size_t)model->n_values + 1,
                   sizeof *model->values));
    cr_value *v;
    CR_TRY(CR_ARENA_NEW(&model->arena, &v, 1));
    CR_TRY(cr_arena_string(&model->arena, chosen, &v->name));
    CR_TRY(cr_names_add(model->names, v->name));
    v->id = model->n_values;
    v->graph = graph;
    v->shape = cr_shape_unknown();
    model->values[model->n_values++] = v;
    *value = v;
    return CREASE_OK;
}

crease_status cr_value_set_constant(cr_value *value, const cr_tensor *tensor) {
    cr_model *model = value->graph->model;
    cr_tensor *copy;
    CR_TRY(CR_ARENA_NEW(&model->arena, &copy, 1));
    *copy = *tensor;
    if (tensor->buffer)
        CR_TRY(cr_model_own(model, cr_buffer_retain(tensor->buffer)));
    value->constant = copy;
    value->dtype = tensor->dtype;
    value->shape = tensor->shape;
    return CREASE_OK;
}

void cr_value_forget(cr_value *value) {
    cr_model *model = value->graph->model;
    const cr_buffer *buffer = value->constant ? value->constant->buffer : NULL;
    if (!buffer)
        return;
    value->constant->buffer = NULL;
    value->constant->data = NULL;
    for (size_t i = 0; i < model->n_buffers; i++)
        if (model->buffers[i] == buffer) {
            cr_buffer_release(model->buffers[i]);
            model->buffers[i] = model->buffers[--model->n_buffers];
            return;
        }
}

crease_status cr_graph_add_constant(cr_graph *graph, const char *name, const cr_tensor *tensor,
                                    cr_value **value) {
    CR_TRY(cr_graph_add_value(graph, name, true, value));
    return cr_value_set_constant(*value, tensor);
}

crease_status cr_graph_new_constant(cr_graph *graph, const char *name, crease_dtype dtype,
                                    const cr_shape *shape, cr_value **value, cr_tensor **tensor) {
    cr_tensor fresh;
    *value = NULL;
    *tensor = NULL;
    CR_TRY(cr_tensor_create_lasting(graph->model->heap, dtype, shape, &fresh));
    crease_status status = cr_graph_add_constant(graph, name, &fresh, value);
    if (status == CREASE_OK)
        *tensor = (*value)->constant;
    cr_tensor_release(&fresh);
    return status;
}

crease_status cr_graph_add_ints(cr_graph *graph, const char *name, const int64_t *list, int64_t n,
                                cr_value **value) {
    const cr_shape shape = cr_shape_of(1, &n);
    cr_tensor *tensor;
    CR_TRY(cr_graph_new_constant(graph, name, CREASE_INT64, &shape, value, &tensor));
    if (n)
        memcpy(tensor->data, list, (size_t)n * sizeof *list);
    return CREASE_OK;
}

/* One more element at the end of a list of values. */
static crease_status append(cr_model *model, cr_value ***list, int *n, cr_value *value) {
    cr_value **longer;
    CR_TRY(CR_ARENA_NEW(&model->arena, &longer, (size_t)*n + 1));
    if (*n)
        memcpy(longer, *list, (size_t)*n * sizeof *longer);
    longer[(*n)++] = value;
    *list = longer;
    return CREASE_OK;
}

crease_status cr_graph_add_input(cr_graph *graph, cr_value *value) {
    CR_TRY(append(graph->model, &graph->inputs, &graph->n_inputs, value));
    value->is_input = true;
    return CREASE_OK;
}

void cr_graph_remove_input(cr_graph *graph, cr_value *value) {
    int kept = 0;
    for (int i = 0; i < graph->n_inputs; i++)
        if (graph->inputs[i] != value)
            graph->inputs[kept++] = graph->inputs[i];
    graph->n_inputs = kept;
    value->is_input = false;
}

crease_status cr_model_assume_constant(cr_model *model) {
    for (int i = 0; i < model->n_values; i++) {
        cr_value *value = model->values[i];
        if (!value->initial)
            continue;
        const cr_tensor initial = *value->initial;
        cr_graph_remove_input(value->graph, value);
        value->initial = NULL;
        CR_TRY(cr_value_set_constant(value, &initial));
    }
    return CREASE_OK;
}

crease_status cr_graph_add_output(cr_graph *graph, cr_value *value) {
    CR_TRY(append(graph->model, &graph->outputs, &graph->n_outputs, value));
    value->n_outputs++;
    graph->empty = NULL; /* was for fewer */
    return CREASE_OK;
}

static crease_status check_replacement(const cr_value *from, const cr_value *to) {
    if (from->dtype && to->dtype && from->dtype != to->dtype)
        return cr_fail(CREASE_ERROR_MODEL, "value '%s' of type %s cannot take the place of '%s' of type %s",
                       to->name, crease_dtype_name(to->dtype), from->name, crease_dtype_name(from->dtype));
    if (!cr_shape_fits(&from->shape, &to->shape))
        return cr_fail(CREASE_ERROR_MODEL, "value '%s' cannot take the place of '%s': the shapes differ",
                       to->name, from->name);
    return CREASE_OK;
}

crease_status cr_graph_set_output(cr_graph *graph, int i, cr_value *value) {
    cr_value *old = graph->outputs[i];
    CR_TRY(check_replacement(old, value));
    old->n_outputs--;
    graph->outputs[i] = value;
    value->n_outputs++;
    return CREASE_OK;
}

/* ---- uses ---- */

static crease_status add_use(cr_value *value, cr_node *node, int input) {
    size_t capacity = (size_t)value->capacity_uses;
    CR_TRY(cr_grow(value->graph->model->heap, (void **)&value->uses, &capacity, (size_t)value->n_uses + 1,
                   sizeof *value->uses));
    value->capacity_uses = (int)capacity;
    value->uses[value->n_uses++] = (cr_use){node, input};
    return CREASE_OK;
}

static void drop_use(cr_value *value, const cr_node *node, int input) {
    for (int i = 0; i < value->n_uses; i++)
        if (value->uses[i].node == node && value->uses[i].input == input) {
            memmove(&value->uses[i], &value->uses[i + 1],
                    (size_t)(value->n_uses - i - 1) * sizeof *value->uses);
            value->n_uses--;
            return;
        }
}

crease_status cr_node_set_input(cr_node *node, int i, cr_value *value) {
    if (i >= node->capacity_inputs) {
        cr_value **longer;
        int capacity = i < 4 ? 4 : 2 * i;
        CR_TRY(CR_ARENA_NEW(&node->graph->model->arena, &longer, (size_t)capacity));
        if (node->n_inputs)
            memcpy(longer, node->inputs, (size_t)node->n_inputs * sizeof *longer);
        node->inputs = longer;
        node->capacity_inputs = capacity;
    }
    if (value)
        CR_TRY(add_use(value, node, i));
    while (node->n_inputs <= i)
        node->inputs[node->n_inputs++] = NULL;
    if (node->inputs[i])
        drop_use(node->inputs[i], node, i);
    node->inputs[i] = value;
    return CREASE_OK;
}

crease_status cr_value_replace(cr_value *from, cr_value *to) {
    if (from == to)
        return CREASE_OK;
    CR_TRY(check_replacement(from, to));
    if (from->n_outputs && (!to->producer || to->n_outputs || to->graph != from->graph))
        return cr_fail(CREASE_ERROR_MODEL, "graph output '%s' cannot be replaced by '%s'", from->name,
                       to->name);
    while (from->n_uses) {
        cr_use use = from->uses[from->n_uses - 1];
        CR_TRY(cr_node_set_input(use.node, use.input, to));
    }
    if (from->n_outputs) { /* the graph output keeps its name and what is stated of it */
        cr_value old = *from;
        from->name = to->name;
        to->name = old.name;
        to->declared = old.declared;
        to->stated = old.stated;
        to->stated_bytes = old.stated_bytes;
        for (int i = 0; i < from->graph->n_outputs; i++)
            if (from->graph->outputs[i] == from)
                CR_TRY(cr_graph_set_output(from->graph, i, to));
    }
    return CREASE_OK;
}

/* ---- nodes ---- */

static void link_before(cr_node *node, cr_node *before) {
    cr_graph *graph = node->graph;
    node->next = before;
    node->previous = before ? before->previous : graph->last;
    *(node->previous ? &node->previous->next : &graph->first) = node;
    *(before ? &before->previous : &graph->last) = node;
}

static void unlink_node(cr_node *node) {
    cr_graph *graph = node->graph;
    *(node->previous ? &node->previous->next : &graph->first) = node->next;
    *(node->next ? &node->next->previous : &graph->last) = node->previous;
    node->previous = node->next = NULL;
}

void cr_node_move_before(cr_node *node, cr_node *before) {
    if (node == before)
        return;
    unlink_node(node);
    link_before(node, before);
}

static crease_status new_node(cr_graph *graph, const char *op_type, const char *domain, const char *name,
                              cr_node **node) {
    cr_model *model = graph->model;
    CR_TRY(cr_grow(model->heap, (void **)&model->nodes, &model->capacity_nodes, (size_t)model->n_nodes + 1,
                   sizeof *model->nodes));
    cr_node *n;
    CR_TRY(CR_ARENA_NEW(&model->arena, &n, 1));
    CR_TRY(cr_arena_string(&model->arena, op_type, &n->op_type));
    CR_TRY(
        cr_arena_string(&model->arena, domain && strcmp(domain, "ai.onnx") != 0 ? domain : "", &n->domain));
    CR_TRY(cr_arena_string(&model->arena, name, &n->name));
    n->doc = "";
    n->graph = graph;
    n->id = model->n_nodes;
    model->nodes[model->n_nodes++] = n;
    *node = n;
    return CREASE_OK;
}

crease_status cr_graph_add_node(cr_graph *graph, cr_node *before, const char *op_type, const char *domain,
                                const char *name, cr_value *const *inputs, int n_inputs,
                                cr_value *const *outputs, int n_outputs, cr_node **node) {
    cr_node *n;
    *node = NULL;
    for (int i = 0; i < n_outputs; i++)
        if (outputs[i] && (outputs[i]->producer || outputs[i]->constant || outputs[i]->is_input))
            return cr_fail(CREASE_ERROR_MODEL, "node '%s' (%s): output '%s' is already defined elsewhere",
                           name ? name : "", op_type, outputs[i]->name);
    CR_TRY(new_node(graph, op_type, domain, name, &n));
    CR_TRY(CR_ARENA_NEW(&graph->model->arena, &n->outputs, (size_t)n_outputs));
    for (int i = 0; i < n_inputs; i++)
        CR_TRY(cr_node_set_input(n, i, inputs[i]));
    n->n_outputs = n_outputs;
    for (int i = 0; i < n_outputs; i++) {
        n->outputs[i] = outputs[i];
        if (outputs[i]) {
            outputs[i]->producer = n;
            outputs[i]->producer_output = i;
        }
    }
    link_before(n, before);
    graph->n_nodes++;
    *node = n;
    return CREASE_OK;
}

/* Forget what a node and its subgraphs use. */
static void drop_uses(cr_node *node) {
    for (int i = 0; i < node->n_inputs; i++)
        if (node->inputs[i])
            drop_use(node->inputs[i], node, i);
    node->n_inputs = 0;
    for (int i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].type == CR_ATTR_GRAPH || node->attrs[i].type == CR_ATTR_GRAPHS)
            for (int64_t j = 0; j < node->attrs[i].n; j++) {
                CR_FOR_NODES(inner, node->attrs[i].graphs[j])
                drop_uses(inner);
            }
}

crease_status cr_node_remove(cr_node *node) {
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] && (node->outputs[i]->n_uses || node->outputs[i]->n_outputs))
            return cr_fail(CREASE_ERROR_MODEL, "node '%s' (%s) cannot be removed: '%s' is used", node->name,
                           node->op_type, node->outputs[i]->name);
    drop_uses(node);
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i])
            node->outputs[i]->producer = NULL;
    unlink_node(node);
    node->graph->n_nodes--;
    return CREASE_OK;
}

crease_status cr_node_take_over(cr_node *producer, int i, cr_node *last) {
    cr_value *inner = producer->outputs[i], *out = last->n_outputs ? last->outputs[0] : NULL;
    if (!out || !cr_value_has_one_use(inner) || inner->uses[0].node != last || producer->graph != last->graph)
        return cr_fail(CREASE_ERROR_MODEL, "node '%s' cannot take over from '%s'", producer->name,
                       last->name);
    if (inner->dtype && out->dtype && inner->dtype != out->dtype)
        return cr_fail(CREASE_ERROR_MODEL, "node '%s' cannot take over from '%s': the types differ",
                       producer->name, last->name);
    drop_uses(last);
    last->outputs[0] = NULL;
    unlink_node(last);
    last->graph->n_nodes--;
    inner->producer = NULL;
    producer->outputs[i] = out;
    out->producer = producer;
    out->producer_output = i;
    return CREASE_OK;
}

crease_status cr_node_set_op(cr_node *node, const char *op_type, const char *domain) {
    CR_TRY(cr_arena_string(&node->graph->model->arena, op_type, &node->op_type));
    node->op = NULL;
    return cr_arena_string(&node->graph->model->arena, domain, &node->domain);
}

crease_status cr_node_keep_inputs(cr_node *node, int n) {
    for (int i = n; i < node->n_inputs; i++)
        CR_TRY(cr_node_set_input(node, i, NULL));
    node->n_inputs = n < node->n_inputs ? n : node->n_inputs;
    return CREASE_OK;
}

crease_status cr_node_add_output(cr_node *node, cr_value *value) {
    cr_value **longer;
    if (value->producer || value->constant || value->is_input)
        return cr_fail(CREASE_ERROR_MODEL, "node '%s' cannot give '%s'", node->name, value->name);
    CR_TRY(CR_ARENA_NEW(&node->graph->model->arena, &longer, (size_t)node->n_outputs + 1));
    if (node->n_outputs)
        memcpy(longer, node->outputs, (size_t)node->n_outputs * sizeof *longer);
    node->outputs = longer;
    value->producer = node;
    value->producer_output = node->n_outputs;
    node->outputs[node->n_outputs++] = value;
    return CREASE_OK;
}

crease_status cr_node_set_output(cr_node *node, int i, cr_value *fresh) {
    if (i >= node->n_outputs || !node->outputs[i] || fresh->producer || fresh->constant || fresh->is_input)
        return cr_fail(CREASE_ERROR_MODEL, "node '%s' cannot give '%s'", node->name, fresh->name);
    node->outputs[i]->producer = NULL;
    node->outputs[i] = fresh;
    fresh->producer = node;
    fresh->producer_output = i;
    return CREASE_OK;
}

crease_status cr_node_set_doc(cr_node *node, const char *doc) {
    return cr_arena_string(&node->graph->model->arena, doc, &node->doc);
}

crease_status cr_node_set_obstacle(cr_node *node, const char *obstacle) {
    node->obstacle = NULL;
    return obstacle ? cr_arena_string(&node->graph->model->arena, obstacle, &node->obstacle) : CREASE_OK;
}

/* ---- attributes ---- */

static cr_attr *find_attr(cr_node *node, const char *name) {
    for (int i = 0; i < node->n_attrs; i++)
        if (strcmp(node->attrs[i].name, name) == 0)
            return &node->attrs[i];
    return NULL;
}

static crease_status own_tensors(cr_model *model, const cr_attr *attr) {
    if (attr->type != CR_ATTR_TENSOR && attr->type != CR_ATTR_TENSORS)
        return CREASE_OK;
    for (int64_t i = 0; i < attr->n; i++)
        if (attr->tensors[i].buffer)
            CR_TRY(cr_model_own(model, cr_buffer_retain(attr->tensors[i].buffer)));
    return CREASE_OK;
}

crease_status cr_node_set_attr(cr_node *node, const cr_attr *attr) {
    cr_model *model = node->graph->model;
    const char *name;
    CR_TRY(cr_arena_string(&model->arena, attr->name, &name));
    CR_TRY(own_tensors(model, attr));
    cr_attr *slot = find_attr(node, name);
    if (!slot && node->n_attrs == node->capacity_attrs) {
        int capacity = node->capacity_attrs ? 2 * node->capacity_attrs : 4;
        cr_attr *longer;
        CR_TRY(CR_ARENA_NEW(&model->arena, &longer, (size_t)capacity));
        if (node->n_attrs)
            memcpy(longer, node->attrs, (size_t)node->n_attrs * sizeof *longer);
        node->attrs = longer;
        node->capacity_attrs = capacity;
    }
    if (!slot)
        slot = &node->attrs[node->n_attrs++];
    *slot = *attr;
    slot->name = name;
    return CREASE_OK;
}

void cr_node_remove_attr(cr_node *node, const char *name) {
    cr_attr *attr = find_attr(node, name);
    if (attr)
        *attr = node->attrs[--node->n_attrs];
}

static crease_status set_numbers(cr_node *node, const char *name, cr_attr_type type, const void *values,
                                 int64_t n, size_t element_bytes) {
    void *block;
    CR_TRY(cr_arena_array(&node->graph->model->arena, (size_t)n, element_bytes, &block));
    if (n)
        memcpy(block, values, (size_t)n * element_bytes);
    return cr_node_set_attr(node, &(cr_attr){.name = name, .type = type, .n = n, .ints = block});
}

crease_status cr_node_set_int(cr_node *node, const char *name, int64_t value) {
    return set_numbers(node, name, CR_ATTR_INT, &value, 1, sizeof value);
}

crease_status cr_node_set_float(cr_node *node, const char *name, float value) {
    return set_numbers(node, name, CR_ATTR_FLOAT, &value, 1, sizeof value);
}

crease_status cr_node_set_ints(cr_node *node, const char *name, const int64_t *values, int n) {
    return set_numbers(node, name, CR_ATTR_INTS, values, n, sizeof *values);
}

crease_status cr_node_set_floats(cr_node *node, const char *name, const float *values, int n) {
    return set_numbers(node, name, CR_ATTR_FLOATS, values, n, sizeof *values);
}

crease_status cr_node_set_string(cr_node *node, const char *name, const char *value) {
    cr_string string = {.bytes = strlen(value)};
    CR_TRY(cr_arena_string(&node->graph->model->arena, value, &string.data));
    return set_numbers(node, name, CR_ATTR_STRING, &string, 1, sizeof string);
}

/* ---- dead code ---- */

static bool is_dead(const cr_node *node) {
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] && (node->outputs[i]->n_uses || node->outputs[i]->n_outputs))
            return false;
    return true;
}

/* Backwards: one sweep of a graph is enough for it. */
static crease_status drop_dead(cr_graph *graph, void *context) {
    bool *dropped = context;
    for (cr_node *node = graph->last, *previous; node; node = previous) {
        previous = node->previous;
        if (!is_dead(node))
            continue;
        CR_TRY(cr_node_remove(node));
        *dropped = true;
    }
    return CREASE_OK;
}

/* What a dead node's bodies used of the graphs around it may be dead after it. */
crease_status cr_model_drop_dead(cr_model *model) {
    bool dropped = true;
    while (dropped) {
        dropped = false;
        CR_TRY(cr_model_each_graph(model, drop_dead, &dropped));
    }
    return CREASE_OK;
}
