#include "proto/import.h"

#include <string.h>

/* Names to values: one table a graph; names that a subgraph does not define are looked up outward. */
typedef struct scope {
    struct scope *outer;
    cr_graph *graph;
    cr_value **slots; /* open addressing, capacity a power of two, at most half full */
    size_t capacity;
} scope;

static size_t hash(const char *name) {
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        h = (h ^ *c) * 1099511628211u;
    return (size_t)(h ^ h >> 32);
}

static cr_value **slot_of(const scope *s, const char *name) {
    size_t i = hash(name) & (s->capacity - 1);
    while (s->slots[i] && strcmp(s->slots[i]->name, name) != 0)
        i = (i + 1) & (s->capacity - 1);
    return &s->slots[i];
}

static crease_status open_scope(scope *s, scope *outer, cr_graph *graph,
                                const CreaseOnnx__GraphProto *proto) {
    size_t names = proto->n_input + proto->n_initializer + proto->n_sparse_initializer + proto->n_output;
    for (size_t i = 0; i < proto->n_node; i++)
        names += proto->node[i]->n_output + proto->node[i]->n_input;
    *s = (scope){.outer = outer, .graph = graph, .capacity = 16};
    while (s->capacity < 2 * names)
        s->capacity *= 2;
    void *block;
    CR_TRY(cr_alloc_zeroed(graph->model->heap, s->capacity * sizeof *s->slots, &block));
    s->slots = block;
    return CREASE_OK;
}

static void close_scope(scope *s) {
    cr_free(s->graph->model->heap, s->slots);
}

static cr_value *find(const scope *s, const char *name) {
    for (; s; s = s->outer)
        if (*slot_of(s, name))
            return *slot_of(s, name);
    return NULL;
}

/* The value of that name in this graph, made if need be. */
static crease_status define(scope *s, const char *name, cr_value **value) {
    cr_value **slot = slot_of(s, name);
    if (!*slot) {
        CR_TRY(cr_graph_add_value(s->graph, name, false, value));
        *slot = *value;
    }
    *value = *slot;
    return CREASE_OK;
}

/* ---- types ---- */

static crease_status import_shape(cr_import *import, const CreaseOnnx__TensorShapeProto *proto,
                                  cr_value *value) {
    if (!proto || proto->n_dim > CR_MAX_RANK) {
        value->shape = cr_shape_unknown();
        return proto ? cr_fail(CREASE_ERROR_UNSUPPORTED, "value '%s' has rank %zu, at most %d is supported",
                               value->name, proto->n_dim, CR_MAX_RANK)
                     : CREASE_OK;
    }
    value->shape.rank = (int)proto->n_dim;
    for (size_t i = 0; i < proto->n_dim; i++) {
        const CreaseOnnx__TensorShapeProto__Dimension *dim = proto->dim[i];
        value->shape.dims[i] = CR_DIM_UNKNOWN;
        if (dim->has_dim_value)
            value->shape.dims[i] = dim->dim_value >= 0 ? dim->dim_value : CR_DIM_UNKNOWN;
        else if (dim->dim_param && dim->dim_param[0])
            CR_TRY(cr_model_symbol(import->model, dim->dim_param, &value->shape.dims[i]));
    }
    return CREASE_OK;
}

/* Other kinds are kept serialized. */
static crease_status keep_raw(cr_import *import, const CreaseOnnx__TypeProto *type, cr_value *value) {
    value->kind = type->has_sequence_type   ? CR_KIND_SEQUENCE
                  : type->has_optional_type ? CR_KIND_OPTIONAL
                  : type->has_map_type      ? CR_KIND_MAP
                                            : CR_KIND_SPARSE;
    void *block;
    size_t bytes = crease_onnx__type_proto__get_packed_size(type);
    CR_TRY(cr_arena_alloc(&import->model->arena, bytes, &block));
    crease_onnx__type_proto__pack(type, block);
    value->raw_type = block;
    value->raw_type_bytes = bytes;
    return CREASE_OK;
}

static crease_status import_type(cr_import *import, const CreaseOnnx__ValueInfoProto *info, cr_value *value) {
    const CreaseOnnx__TypeProto *type = info->type;
    if (!type)
        return CREASE_OK;
    if (type->has_sequence_type || type->has_optional_type || type->has_map_type ||
        type->has_sparse_tensor_type)
        return keep_raw(import, type, value);
    if (!type->tensor_type)
        return CREASE_OK;
    if (cr_dtype_valid(type->tensor_type->elem_type))
        value->dtype = (crease_dtype)type->tensor_type->elem_type;
    value->declared = true;
    return import_shape(import, type->tensor_type->shape, value);
}

/* ---- initializers and inputs ---- */

static crease_status add_initializer(cr_import *import, scope *s, const char *name, const cr_tensor *tensor) {
    cr_value *value;
    CR_TRY(define(s, name, &value));
    if (value->constant || value->initial)
        return cr_fail(CREASE_ERROR_MODEL, "initializer '%s' is defined twice", name);
    value->is_initializer = true;
    /* From IR version 4 on, an initializer that is also an input is a default that the caller may override.
     */
    bool overridable =
        value->is_input && import->model->ir_version >= 4 && !import->assume_const && !s->outer;
    if (value->is_input && !overridable)
        cr_graph_remove_input(s->graph, value);
    crease_dtype dtype = value->dtype;
    cr_shape shape = value->shape;
    CR_TRY(cr_value_set_constant(value, tensor));
    if (overridable) {
        value->initial = value->constant;
        value->constant = NULL;
        value->dtype = dtype ? dtype : tensor->dtype;
        value->shape = shape.rank >= 0 ? shape : tensor->shape;
    }
    return CREASE_OK;
}

static crease_status import_initializers(cr_import *import, scope *s, CreaseOnnx__GraphProto *proto) {
    for (size_t i = 0; i < proto->n_initializer + proto->n_sparse_initializer; i++) {
        bool dense = i < proto->n_initializer;
        CreaseOnnx__SparseTensorProto *sparse =
            dense ? NULL : proto->sparse_initializer[i - proto->n_initializer];
        const CreaseOnnx__TensorProto *named = dense ? proto->initializer[i] : sparse->values;
        cr_tensor tensor;
        if (!named || !named->name || !named->name[0])
            return cr_fail(CREASE_ERROR_MODEL, "an initializer of graph '%s' has no name", s->graph->name);
        CR_TRY(dense ? cr_import_tensor(import, proto->initializer[i], &tensor)
                     : cr_import_sparse(import, sparse, &tensor));
        crease_status status = add_initializer(import, s, named->name, &tensor);
        cr_tensor_release(&tensor);
        CR_TRY(status);
    }
    return CREASE_OK;
}

static crease_status import_inputs(cr_import *import, scope *s, const CreaseOnnx__GraphProto *proto) {
    for (size_t i = 0; i < proto->n_input; i++) {
        cr_value *value;
        if (!proto->input[i]->name || !proto->input[i]->name[0])
            return cr_fail(CREASE_ERROR_MODEL, "input %zu of graph '%s' has no name", i, s->graph->name);
        CR_TRY(define(s, proto->input[i]->name, &value));
        if (value->is_input)
            return cr_fail(CREASE_ERROR_MODEL, "input '%s' is defined twice", value->name);
        value->shape = cr_shape_unknown();
        CR_TRY(import_type(import, proto->input[i], value));
        CR_TRY(cr_graph_add_input(s->graph, value));
    }
    return CREASE_OK;
}

/* ---- attributes ---- */

static crease_status fail_attr(const cr_node *node, const char *name) {
    return cr_fail(CREASE_ERROR_MODEL, "node '%s' (%s): attribute '%s' has no value of a known type",
                   node->name, node->op_type, name);
}

static crease_status import_graph(cr_import *import, scope *outer, cr_graph *graph,
                                  CreaseOnnx__GraphProto *proto);

static crease_status import_strings(cr_arena *arena, const ProtobufCBinaryData *from, size_t n,
                                    cr_attr *attr) {
    cr_string *strings;
    CR_TRY(CR_ARENA_NEW(arena, &strings, n));
    for (size_t i = 0; i < n; i++) {
        void *block;
        CR_TRY(cr_arena_alloc(arena, from[i].len + 1, &block));
        if (from[i].len)
            memcpy(block, from[i].data, from[i].len);
        strings[i] = (cr_string){block, from[i].len};
    }
    attr->strings = strings;
    attr->n = (int64_t)n;
    return CREASE_OK;
}

static crease_status import_numbers(cr_arena *arena, const void *from, size_t n, size_t element,
                                    cr_attr *attr) {
    void *block;
    CR_TRY(cr_arena_array(arena, n, element, &block));
    if (n)
        memcpy(block, from, n * element);
    attr->ints = block;
    attr->n = (int64_t)n;
    return CREASE_OK;
}

static crease_status import_tensors(cr_import *import, CreaseOnnx__TensorProto **from, size_t n,
                                    cr_attr *attr) {
    CR_TRY(CR_ARENA_NEW(&import->model->arena, &attr->tensors, n));
    for (size_t i = 0; i < n; i++) {
        CR_TRY(cr_import_tensor(import, from[i], &attr->tensors[i]));
        CR_TRY(cr_model_own(import->model, cr_buffer_retain(attr->tensors[i].buffer)));
        cr_buffer_release(attr->tensors[i].buffer);
    }
    attr->n = (int64_t)n;
    return CREASE_OK;
}

static crease_status import_sparse(cr_import *import, CreaseOnnx__SparseTensorProto *from, cr_attr *attr) {
    /* kept dense: the operators that take it (Constant) give a dense tensor */
    CR_TRY(CR_ARENA_NEW(&import->model->arena, &attr->tensors, 1));
    CR_TRY(cr_import_sparse(import, from, &attr->tensors[0]));
    attr->type = CR_ATTR_TENSOR;
    attr->name = "value";
    attr->n = 1;
    return cr_model_own(import->model, attr->tensors[0].buffer);
}

static crease_status import_graphs(cr_import *import, scope *s, cr_node *node, CreaseOnnx__GraphProto **from,
                                   size_t n, cr_attr *attr) {
    CR_TRY(CR_ARENA_NEW(&import->model->arena, &attr->graphs, n));
    for (size_t i = 0; i < n; i++) {
        CR_TRY(cr_graph_create(import->model, node, &attr->graphs[i]));
        CR_TRY(import_graph(import, s, attr->graphs[i], from[i]));
    }
    attr->n = (int64_t)n;
    return CREASE_OK;
}

/* Files before IR version 2 leave the type out. */
static cr_attr_type type_of(const CreaseOnnx__AttributeProto *p) {
    if (p->type)
        return (cr_attr_type)p->type;
    return p->has_f       ? CR_ATTR_FLOAT
           : p->has_i     ? CR_ATTR_INT
           : p->has_s     ? CR_ATTR_STRING
           : p->t         ? CR_ATTR_TENSOR
           : p->g         ? CR_ATTR_GRAPH
           : p->n_floats  ? CR_ATTR_FLOATS
           : p->n_strings ? CR_ATTR_STRINGS
           : p->n_tensors ? CR_ATTR_TENSORS
                          : CR_ATTR_INTS;
}

static crease_status import_attr(cr_import *import, scope *s, cr_node *node, CreaseOnnx__AttributeProto *p) {
    cr_attr attr = {.name = p->name ? p->name : "", .type = type_of(p), .n = 1};
    cr_arena *arena = &import->model->arena;
    crease_status status = CREASE_OK;
    switch (attr.type) {
    case CR_ATTR_INT:
        status = import_numbers(arena, &p->i, 1, sizeof p->i, &attr);
        break;
    case CR_ATTR_FLOAT:
        status = import_numbers(arena, &p->f, 1, sizeof p->f, &attr);
        break;
    case CR_ATTR_STRING:
        status = import_strings(arena, &p->s, 1, &attr);
        break;
    case CR_ATTR_INTS:
        status = import_numbers(arena, p->ints, p->n_ints, sizeof *p->ints, &attr);
        break;
    case CR_ATTR_FLOATS:
        status = import_numbers(arena, p->floats, p->n_floats, sizeof *p->floats, &attr);
        break;
    case CR_ATTR_STRINGS:
        status = import_strings(arena, p->strings, p->n_strings, &attr);
        break;
    case CR_ATTR_TENSOR:
        if (!p->t)
            return fail_attr(node, attr.name);
        status = import_tensors(import, &p->t, 1, &attr);
        break;
    case CR_ATTR_TENSORS:
        status = import_tensors(import, p->tensors, p->n_tensors, &attr);
        break;
    case CR_ATTR_GRAPH:
        if (!p->g)
            return fail_attr(node, attr.name);
        status = import_graphs(import, s, node, &p->g, 1, &attr);
        break;
    case CR_ATTR_GRAPHS:
        status = import_graphs(import, s, node, p->graphs, p->n_graphs, &attr);
        break;
    case CR_ATTR_SPARSE_TENSOR:
        if (!p->sparse_tensor)
            return fail_attr(node, attr.name);
        status = import_sparse(import, p->sparse_tensor, &attr);
        break;
    case CR_ATTR_TYPE_PROTO:
        status = import_strings(arena, &p->tp, 1, &attr);
        break;
    default:
        return fail_attr(node, attr.name);
    }
    CR_TRY(status);
    return cr_node_set_attr(node, &attr);
}

/* ---- nodes ---- */

static crease_status define_outputs(scope *s, const CreaseOnnx__NodeProto *p, cr_value **outputs) {
    for (size_t i = 0; i < p->n_output; i++) {
        outputs[i] = NULL;
        if (!p->output[i][0])
            continue;
        CR_TRY(define(s, p->output[i], &outputs[i]));
    }
    return CREASE_OK;
}

/* Uses may come before definitions: a name that is nowhere yet is made here and must be defined by the end
 * (verified). */
static crease_status find_input(scope *s, const char *name, cr_value **value) {
    *value = NULL;
    if (!name[0])
        return CREASE_OK;
    *value = find(s, name);
    return *value ? CREASE_OK : define(s, name, value);
}

static crease_status import_node(cr_import *import, scope *s, const CreaseOnnx__NodeProto *p) {
    cr_value **outputs, **inputs;
    cr_node *node;
    if (!p->op_type || !p->op_type[0])
        return cr_fail(CREASE_ERROR_MODEL, "node '%s' has no operator", p->name ? p->name : "");
    CR_TRY(CR_ARENA_NEW(&import->model->arena, &outputs, p->n_output + 1));
    CR_TRY(CR_ARENA_NEW(&import->model->arena, &inputs, p->n_input + 1));
    CR_TRY(define_outputs(s, p, outputs));
    for (size_t i = 0; i < p->n_input; i++)
        CR_TRY(find_input(s, p->input[i], &inputs[i]));
    CR_TRY(cr_graph_add_node(s->graph, NULL, p->op_type, p->domain, p->name, inputs, (int)p->n_input, outputs,
                             (int)p->n_output, &node));
    if (p->doc_string)
        CR_TRY(cr_node_set_doc(node, p->doc_string));
    for (size_t i = 0; i < p->n_attribute; i++)
        CR_TRY(import_attr(import, s, node, p->attribute[i]));
    return CREASE_OK;
}

/* Names of all node outputs first, so that a node that stands too early still finds what it uses in this
 * graph. */
static crease_status define_all(scope *s, const CreaseOnnx__GraphProto *proto) {
    cr_value *value;
    for (size_t i = 0; i < proto->n_node; i++)
        for (size_t j = 0; j < proto->node[i]->n_output; j++)
            if (proto->node[i]->output[j][0])
                CR_TRY(define(s, proto->node[i]->output[j], &value));
    return CREASE_OK;
}

static crease_status import_outputs(cr_import *import, scope *s, const CreaseOnnx__GraphProto *proto) {
    for (size_t i = 0; i < proto->n_value_info; i++) {
        cr_value *value = proto->value_info[i]->name ? *slot_of(s, proto->value_info[i]->name) : NULL;
        if (value && !value->constant && !value->is_input)
            CR_TRY(import_type(import, proto->value_info[i], value));
    }
    for (size_t i = 0; i < proto->n_output; i++) {
        const char *name = proto->output[i]->name ? proto->output[i]->name : "";
        cr_value *value = find(s, name);
        if (!value)
            return cr_fail(CREASE_ERROR_MODEL,
                           "graph output '%s' is not defined by any node, input or initializer", name);
        if (value->graph == s->graph && !value->constant && !value->is_input)
            CR_TRY(import_type(import, proto->output[i], value));
        CR_TRY(cr_graph_add_output(s->graph, value));
    }
    return CREASE_OK;
}

static crease_status import_body(cr_import *import, scope *s, CreaseOnnx__GraphProto *proto) {
    CR_TRY(cr_arena_string(&import->model->arena, proto->name, &s->graph->name));
    CR_TRY(cr_arena_string(&import->model->arena, proto->doc_string, &s->graph->doc));
    CR_TRY(import_inputs(import, s, proto));
    CR_TRY(import_initializers(import, s, proto));
    CR_TRY(define_all(s, proto));
    for (size_t i = 0; i < proto->n_node; i++)
        CR_TRY(import_node(import, s, proto->node[i]));
    return import_outputs(import, s, proto);
}

static crease_status import_graph(cr_import *import, scope *outer, cr_graph *graph,
                                  CreaseOnnx__GraphProto *proto) {
    scope s;
    CR_TRY(open_scope(&s, outer, graph, proto));
    crease_status status = import_body(import, &s, proto);
    close_scope(&s);
    return status;
}

crease_status cr_import_graph(cr_import *import, CreaseOnnx__GraphProto *proto) {
    return import_graph(import, NULL, import->model->graph, proto);
}
