#include "runtime/graph/edit.h"
#include "runtime/graph/names.h"

#include <string.h>

/* Making, copying and destroying whole models. */

crease_status cr_model_create(cr_heap *heap, cr_model **model) {
    void *block;
    *model = NULL;
    CR_TRY(cr_alloc_zeroed(heap, sizeof(cr_model), &block));
    cr_model *m = block;
    m->heap = cr_heap_retain(heap);
    cr_arena_init(&m->arena, heap);
    m->producer_name = m->producer_version = m->domain = m->doc = "";
    crease_status status = cr_names_create(heap, &m->names);
    if (status == CREASE_OK)
        status = cr_graph_create(m, NULL, &m->graph);
    if (status == CREASE_OK)
        *model = m;
    else
        cr_model_destroy(m);
    return status;
}

void cr_model_destroy(cr_model *model) {
    if (!model)
        return;
    cr_heap *heap = model->heap;
    for (int i = 0; i < model->n_values; i++)
        cr_free(heap, model->values[i]->uses);
    for (size_t i = 0; i < model->n_buffers; i++)
        cr_buffer_release(model->buffers[i]);
    cr_names_destroy(model->names);
    cr_free(heap, model->values);
    cr_free(heap, model->nodes);
    cr_free(heap, model->symbols);
    cr_free(heap, model->buffers);
    cr_arena_clear(&model->arena);
    cr_free(heap, model);
    cr_heap_release(heap);
}

crease_status cr_model_own(cr_model *model, cr_buffer *buffer) {
    crease_status status = cr_grow(model->heap, (void **)&model->buffers, &model->capacity_buffers,
                                   model->n_buffers + 1, sizeof *model->buffers);
    if (status == CREASE_OK)
        model->buffers[model->n_buffers++] = buffer;
    else
        cr_buffer_release(buffer);
    return status;
}

crease_status cr_model_set_opset(cr_model *model, const char *domain, int64_t version) {
    for (int i = 0; i < model->n_opsets; i++)
        if (strcmp(model->opsets[i].domain, domain) == 0) {
            model->opsets[i].version = version;
            return CREASE_OK;
        }
    cr_opset *opsets;
    CR_TRY(CR_ARENA_NEW(&model->arena, &opsets, (size_t)model->n_opsets + 1));
    if (model->n_opsets)
        memcpy(opsets, model->opsets, (size_t)model->n_opsets * sizeof *opsets);
    CR_TRY(cr_arena_string(&model->arena, domain, &opsets[model->n_opsets].domain));
    opsets[model->n_opsets].version = version;
    model->opsets = opsets;
    model->n_opsets++;
    return CREASE_OK;
}

crease_status cr_model_set_property(cr_model *model, const char *key, const char *value) {
    cr_property property;
    CR_TRY(cr_arena_string(&model->arena, value, &property.value));
    for (int i = 0; i < model->n_properties; i++)
        if (strcmp(model->properties[i].key, key) == 0) {
            model->properties[i].value = property.value;
            return CREASE_OK;
        }
    CR_TRY(cr_arena_string(&model->arena, key, &property.key));
    cr_property *properties;
    CR_TRY(CR_ARENA_NEW(&model->arena, &properties, (size_t)model->n_properties + 1));
    if (model->n_properties)
        memcpy(properties, model->properties, (size_t)model->n_properties * sizeof *properties);
    properties[model->n_properties++] = property;
    model->properties = properties;
    return CREASE_OK;
}

crease_status cr_model_symbol(cr_model *model, const char *name, int64_t *dim) {
    for (int i = 0; i < model->n_symbols; i++)
        if (strcmp(model->symbols[i], name) == 0) {
            *dim = CR_DIM_FIRST_SYMBOL - i;
            return CREASE_OK;
        }
    const char *copy;
    CR_TRY(cr_arena_string(&model->arena, name, &copy));
    CR_TRY(cr_grow(model->heap, (void **)&model->symbols, &model->capacity_symbols,
                   (size_t)model->n_symbols + 1, sizeof *model->symbols));
    *dim = CR_DIM_FIRST_SYMBOL - model->n_symbols;
    model->symbols[model->n_symbols++] = copy;
    return CREASE_OK;
}

/* ---- cloning: the copy's values, nodes and graphs are found by the ids of the originals ---- */

typedef struct copier {
    const cr_model *from;
    cr_model *to;
} copier;

static crease_status copy_graph(copier *c, const cr_graph *from, cr_graph *to);

static crease_status copy_tensor(copier *c, const cr_tensor *from, cr_tensor **to) {
    *to = NULL;
    if (!from)
        return CREASE_OK;
    CR_TRY(CR_ARENA_NEW(&c->to->arena, to, 1));
    **to = *from;
    if (!from->buffer)
        return CREASE_OK;
    return cr_model_own(c->to, cr_buffer_retain(from->buffer));
}

static crease_status copy_block(copier *c, const void *from, size_t bytes, const void **to) {
    void *block;
    *to = NULL;
    if (!from)
        return CREASE_OK;
    CR_TRY(cr_arena_alloc(&c->to->arena, bytes, &block));
    memcpy(block, from, bytes);
    *to = block;
    return CREASE_OK;
}

/* Everything of a value but its links to nodes. */
static crease_status copy_value(copier *c, const cr_value *from, cr_value *to) {
    *to = *from;
    to->producer = NULL;
    to->uses = NULL;
    to->n_uses = to->capacity_uses = 0;
    to->graph = c->to->graph; /* unless a body has it; those of removed bodies belong nowhere */
    CR_TRY(cr_arena_string(&c->to->arena, from->name, &to->name));
    CR_TRY(copy_tensor(c, from->constant, &to->constant));
    CR_TRY(copy_tensor(c, from->initial, &to->initial));
    CR_TRY(copy_block(c, from->raw_type, from->raw_type_bytes, &to->raw_type));
    CR_TRY(copy_block(c, from->stated, from->stated_bytes, &to->stated));
    return cr_names_add(c->to->names, to->name);
}

static crease_status copy_strings(copier *c, const cr_string *from, int64_t n, const cr_string **to) {
    cr_string *strings;
    CR_TRY(CR_ARENA_NEW(&c->to->arena, &strings, (size_t)n));
    for (int64_t i = 0; i < n; i++) {
        void *block;
        CR_TRY(cr_arena_alloc(&c->to->arena, from[i].bytes + 1, &block));
        if (from[i].bytes)
            memcpy(block, from[i].data, from[i].bytes);
        strings[i] = (cr_string){block, from[i].bytes};
    }
    *to = strings;
    return CREASE_OK;
}

static crease_status copy_tensors(copier *c, const cr_tensor *from, int64_t n, cr_tensor **to) {
    CR_TRY(CR_ARENA_NEW(&c->to->arena, to, (size_t)n));
    for (int64_t i = 0; i < n; i++) {
        (*to)[i] = from[i];
        if (from[i].buffer)
            CR_TRY(cr_model_own(c->to, cr_buffer_retain(from[i].buffer)));
    }
    return CREASE_OK;
}

static crease_status copy_sparse(copier *c, const cr_sparse *from, int64_t n, cr_sparse **to) {
    CR_TRY(CR_ARENA_NEW(&c->to->arena, to, (size_t)n));
    for (int64_t i = 0; i < n; i++) {
        (*to)[i] = from[i];
        if (from[i].values.buffer)
            CR_TRY(cr_model_own(c->to, cr_buffer_retain(from[i].values.buffer)));
        if (from[i].indices.buffer)
            CR_TRY(cr_model_own(c->to, cr_buffer_retain(from[i].indices.buffer)));
    }
    return CREASE_OK;
}

static crease_status copy_attr(copier *c, const cr_attr *from, cr_node *node, cr_attr *to) {
    *to = *from;
    CR_TRY(cr_arena_string(&c->to->arena, from->name, &to->name));
    size_t n = (size_t)from->n;
    switch (from->type) {
    case CR_ATTR_INT:
    case CR_ATTR_INTS:
        return copy_block(c, from->ints, n * sizeof *from->ints, (const void **)&to->ints);
    case CR_ATTR_FLOAT:
    case CR_ATTR_FLOATS:
        return copy_block(c, from->floats, n * sizeof *from->floats, (const void **)&to->floats);
    case CR_ATTR_TENSOR:
    case CR_ATTR_TENSORS:
        return copy_tensors(c, from->tensors, from->n, &to->tensors);
    case CR_ATTR_SPARSE_TENSOR:
    case CR_ATTR_SPARSE_TENSORS:
        return copy_sparse(c, from->sparse, from->n, &to->sparse);
    case CR_ATTR_GRAPH:
    case CR_ATTR_GRAPHS:
        CR_TRY(CR_ARENA_NEW(&c->to->arena, &to->graphs, n));
        for (size_t i = 0; i < n; i++) {
            CR_TRY(cr_graph_create(c->to, node, &to->graphs[i]));
            CR_TRY(copy_graph(c, from->graphs[i], to->graphs[i]));
        }
        return CREASE_OK;
    default:
        return copy_strings(c, from->strings, from->n, &to->strings);
    }
}

static crease_status copy_node(copier *c, const cr_node *from, cr_graph *graph) {
    cr_node *to = c->to->nodes[from->id];
    *to = *from;
    to->graph = graph;
    to->inputs = to->outputs = NULL;
    to->n_inputs = to->capacity_inputs = 0;
    to->attrs = NULL;
    to->previous = graph->last;
    to->next = NULL;
    *(graph->last ? &graph->last->next : &graph->first) = to;
    graph->last = to;
    graph->n_nodes++;
    CR_TRY(cr_arena_string(&c->to->arena, from->name, &to->name));
    CR_TRY(cr_arena_string(&c->to->arena, from->op_type, &to->op_type));
    CR_TRY(cr_arena_string(&c->to->arena, from->domain, &to->domain));
    CR_TRY(cr_arena_string(&c->to->arena, from->doc, &to->doc));
    CR_TRY(cr_node_set_obstacle(to, from->obstacle));
    CR_TRY(CR_ARENA_NEW(&c->to->arena, &to->outputs, (size_t)from->n_outputs));
    for (int i = 0; i < from->n_outputs; i++) {
        to->outputs[i] = from->outputs[i] ? c->to->values[from->outputs[i]->id] : NULL;
        if (to->outputs[i])
            to->outputs[i]->producer = to;
    }
    for (int i = 0; i < from->n_inputs; i++)
        CR_TRY(cr_node_set_input(to, i, from->inputs[i] ? c->to->values[from->inputs[i]->id] : NULL));
    CR_TRY(CR_ARENA_NEW(&c->to->arena, &to->attrs, (size_t)from->n_attrs));
    to->capacity_attrs = from->n_attrs;
    for (int i = 0; i < from->n_attrs; i++)
        CR_TRY(copy_attr(c, &from->attrs[i], to, &to->attrs[i]));
    return CREASE_OK;
}

static crease_status copy_list(copier *c, cr_value *const *from, int n, cr_value ***to) {
    CR_TRY(CR_ARENA_NEW(&c->to->arena, to, (size_t)n));
    for (int i = 0; i < n; i++)
        (*to)[i] = c->to->values[from[i]->id];
    return CREASE_OK;
}

static crease_status copy_graph(copier *c, const cr_graph *from, cr_graph *to) {
    const void *empty;
    CR_TRY(cr_arena_string(&c->to->arena, from->name, &to->name));
    CR_TRY(cr_arena_string(&c->to->arena, from->doc, &to->doc));
    for (int i = 0; i < c->from->n_values; i++)
        if (c->from->values[i]->graph == from)
            c->to->values[i]->graph = to;
    CR_TRY(copy_list(c, from->inputs, from->n_inputs, &to->inputs));
    to->n_inputs = from->n_inputs;
    CR_TRY(copy_list(c, from->outputs, from->n_outputs, &to->outputs));
    to->n_outputs = from->n_outputs;
    to->steady = from->steady;
    CR_TRY(copy_block(c, from->empty, (size_t)from->n_outputs * sizeof *from->empty, &empty));
    to->empty = (cr_shape *)(uintptr_t)empty;
    CR_FOR_NODES(node, from)
    CR_TRY(copy_node(c, node, to));
    return CREASE_OK;
}

static crease_status copy_heads(copier *c) {
    const cr_model *from = c->from;
    cr_model *to = c->to;
    to->ir_version = from->ir_version;
    to->model_version = from->model_version;
    CR_TRY(cr_arena_string(&to->arena, from->producer_name, &to->producer_name));
    CR_TRY(cr_arena_string(&to->arena, from->producer_version, &to->producer_version));
    CR_TRY(cr_arena_string(&to->arena, from->domain, &to->domain));
    CR_TRY(cr_arena_string(&to->arena, from->doc, &to->doc));
    for (int i = 0; i < from->n_opsets; i++)
        CR_TRY(cr_model_set_opset(to, from->opsets[i].domain, from->opsets[i].version));
    for (int i = 0; i < from->n_properties; i++)
        CR_TRY(cr_model_set_property(to, from->properties[i].key, from->properties[i].value));
    for (int i = 0; i < from->n_symbols; i++) {
        int64_t dim;
        CR_TRY(cr_model_symbol(to, from->symbols[i], &dim));
    }
    return CREASE_OK;
}

static crease_status copy_model(copier *c) {
    cr_model *to = c->to;
    CR_TRY(copy_heads(c));
    CR_TRY(cr_grow(to->heap, (void **)&to->values, &to->capacity_values, (size_t)c->from->n_values,
                   sizeof *to->values));
    for (; to->n_values < c->from->n_values; to->n_values++) {
        CR_TRY(CR_ARENA_NEW(&to->arena, &to->values[to->n_values], 1));
        /* counted only once it is valid: destroying frees the uses of counted values */
        crease_status status = copy_value(c, c->from->values[to->n_values], to->values[to->n_values]);
        if (status != CREASE_OK)
            return status;
    }
    CR_TRY(cr_grow(to->heap, (void **)&to->nodes, &to->capacity_nodes, (size_t)c->from->n_nodes,
                   sizeof *to->nodes));
    for (; to->n_nodes < c->from->n_nodes; to->n_nodes++)
        CR_TRY(CR_ARENA_NEW(&to->arena, &to->nodes[to->n_nodes], 1));
    return copy_graph(c, c->from->graph, to->graph);
}

crease_status cr_model_clone(const cr_model *model, cr_heap *heap, cr_model **copy) {
    copier c = {model, NULL};
    *copy = NULL;
    CR_TRY(cr_model_create(heap, &c.to));
    crease_status status = copy_model(&c);
    if (status == CREASE_OK)
        *copy = c.to;
    else
        cr_model_destroy(c.to);
    return status;
}
