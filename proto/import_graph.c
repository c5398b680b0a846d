#include "proto/import.h"

#include <string.h>

/* Importing recurses, and so does everything after it. */
enum { MAX_DEPTH = 100 };

/* ---- types ---- */

/* Equal names of dimensions mean equal dimensions, but exporters write these for any that they do not know:
 * Paddle2ONNX "?" for both height and width. */
static bool names_nothing(const char *name) {
    static const char *const nothing[] = {"", "?", "-1", "None", "*"};
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        if (strcmp(name, nothing[i]) == 0)
            return true;
    return false;
}

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
        else if (dim->dim_param && !names_nothing(dim->dim_param))
            CR_TRY(cr_model_symbol(import->model, dim->dim_param, &value->shape.dims[i]));
    }
    return cr_shape_check_known(&value->shape, CREASE_ERROR_MODEL, value->name);
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
    value->declared = true;
    return CREASE_OK;
}

/* Denotations, doc strings and dimensions that say nothing are kept for the file that is written. */
static crease_status keep_statement(cr_import *import, const CreaseOnnx__ValueInfoProto *info,
                                    cr_value *value) {
    void *block;
    value->stated_bytes = crease_onnx__value_info_proto__get_packed_size(info);
    CR_TRY(cr_arena_alloc(&import->model->arena, value->stated_bytes, &block));
    crease_onnx__value_info_proto__pack(info, block);
    value->stated = block;
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
    CR_TRY(keep_statement(import, info, value));
    return import_shape(import, type->tensor_type->shape, value);
}

/* ---- initializers and inputs ---- */

static crease_status add_initializer(cr_import *import, cr_scope *s, const char *name,
                                     const cr_tensor *tensor) {
    cr_value *value;
    CR_TRY(cr_scope_define(s, name, &value));
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

static crease_status import_initializers(cr_import *import, cr_scope *s, CreaseOnnx__GraphProto *proto) {
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

static crease_status import_inputs(cr_import *import, cr_scope *s, const CreaseOnnx__GraphProto *proto) {
    for (size_t i = 0; i < proto->n_input; i++) {
        cr_value *value;
        if (!proto->input[i]->name || !proto->input[i]->name[0])
            return cr_fail(CREASE_ERROR_MODEL, "input %zu of graph '%s' has no name", i, s->graph->name);
        CR_TRY(cr_scope_define(s, proto->input[i]->name, &value));
        if (value->is_input)
            return cr_fail(CREASE_ERROR_MODEL, "input '%s' is defined twice", value->name);
        value->shape = cr_shape_unknown();
        CR_TRY(import_type(import, proto->input[i], value));
        CR_TRY(cr_graph_add_input(s->graph, value));
    }
    return CREASE_OK;
}

/* ---- nodes ---- */

static crease_status define_outputs(cr_scope *s, const CreaseOnnx__NodeProto *p, cr_value **outputs) {
    for (size_t i = 0; i < p->n_output; i++) {
        outputs[i] = NULL;
        if (!p->output[i][0])
            continue;
        CR_TRY(cr_scope_define(s, p->output[i], &outputs[i]));
    }
    return CREASE_OK;
}

/* Uses may come before definitions: a name that is nowhere yet is made here and must be defined by the end
 * (verified). */
crease_status cr_import_use(cr_scope *s, const char *name, cr_value **value) {
    *value = NULL;
    if (!name[0] || cr_scope_find(s, name, value))
        return CREASE_OK;
    return cr_scope_define(s, name, value);
}

static crease_status import_operator(cr_import *import, cr_scope *s, const CreaseOnnx__NodeProto *p) {
    cr_value **outputs, **inputs;
    const char *name = p->name;
    cr_node *node;
    CR_TRY(CR_ARENA_NEW(&import->model->arena, &outputs, p->n_output + 1));
    CR_TRY(CR_ARENA_NEW(&import->model->arena, &inputs, p->n_input + 1));
    CR_TRY(define_outputs(s, p, outputs));
    for (size_t i = 0; i < p->n_input; i++)
        CR_TRY(cr_import_use(s, p->input[i], &inputs[i]));
    if (s->call && name && name[0])
        CR_TRY(cr_arena_format(&import->model->arena, &name, "%s/%.400s", s->call->prefix, name));
    CR_TRY(cr_graph_add_node(s->graph, NULL, p->op_type, p->domain, name, inputs, (int)p->n_input, outputs,
                             (int)p->n_output, &node));
    for (size_t i = 0; i < p->n_output; i++)
        if (outputs[i] && outputs[i]->producer_output != (int)i)
            return cr_fail(CREASE_ERROR_MODEL, "node '%s' (%s): output '%s' is listed twice", node->name,
                           node->op_type, outputs[i]->name);
    if (p->doc_string)
        CR_TRY(cr_node_set_doc(node, p->doc_string));
    for (size_t i = 0; i < p->n_attribute; i++)
        CR_TRY(cr_import_attr(import, s, node, p->attribute[i]));
    return CREASE_OK;
}

static crease_status import_node(cr_import *import, cr_scope *s, const CreaseOnnx__NodeProto *p) {
    if (!p->op_type || !p->op_type[0])
        return cr_fail(CREASE_ERROR_MODEL, "node '%s' has no operator", p->name ? p->name : "");
    const CreaseOnnx__FunctionProto *function = cr_import_function(import, p);
    return function ? cr_import_call(import, s, p, function) : import_operator(import, s, p);
}

/* Names of all node outputs first, so that a node that stands too early still finds what it uses in this
 * graph. */
static crease_status define_all(cr_scope *s, CreaseOnnx__NodeProto *const *nodes, size_t n) {
    cr_value *value;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < nodes[i]->n_output; j++)
            if (nodes[i]->output[j][0])
                CR_TRY(cr_scope_define(s, nodes[i]->output[j], &value));
    return CREASE_OK;
}

crease_status cr_import_nodes(cr_import *import, cr_scope *s, CreaseOnnx__NodeProto **nodes, size_t n) {
    CR_TRY(define_all(s, nodes, n));
    for (size_t i = 0; i < n; i++)
        CR_TRY(import_node(import, s, nodes[i]));
    return CREASE_OK;
}

size_t cr_import_count_names(CreaseOnnx__NodeProto *const *nodes, size_t n) {
    size_t names = 0;
    for (size_t i = 0; i < n; i++)
        names += nodes[i]->n_output + nodes[i]->n_input;
    return names;
}

/* What a body gives straight from a graph around it goes through a node of its own, so that a value stands
 * among the outputs of no other graph. */
static crease_status own_output(cr_scope *s, cr_value **value) {
    cr_value *outer = *value;
    cr_node *node;
    if (outer->graph == s->graph)
        return CREASE_OK;
    CR_TRY(cr_graph_add_value(s->graph, outer->name, true, value));
    (*value)->dtype = outer->dtype;
    return cr_graph_add_node(s->graph, NULL, "Identity", "", (*value)->name, &outer, 1, value, 1, &node);
}

static crease_status import_outputs(cr_import *import, cr_scope *s, const CreaseOnnx__GraphProto *proto) {
    for (size_t i = 0; i < proto->n_value_info; i++) {
        cr_value *value;
        if (proto->value_info[i]->name && cr_scope_has(s, proto->value_info[i]->name, &value) &&
            !value->constant && !value->is_input)
            CR_TRY(import_type(import, proto->value_info[i], value));
    }
    for (size_t i = 0; i < proto->n_output; i++) {
        const char *name = proto->output[i]->name ? proto->output[i]->name : "";
        cr_value *value;
        if (!cr_scope_find(s, name, &value) || !value)
            return cr_fail(CREASE_ERROR_MODEL,
                           "graph output '%s' is not defined by any node, input or initializer", name);
        if (value->graph == s->graph && !value->constant && !value->is_input)
            CR_TRY(import_type(import, proto->output[i], value));
        CR_TRY(own_output(s, &value));
        CR_TRY(cr_graph_add_output(s->graph, value));
    }
    return CREASE_OK;
}

static crease_status import_body(cr_import *import, cr_scope *s, CreaseOnnx__GraphProto *proto) {
    CR_TRY(cr_arena_string(&import->model->arena, proto->name, &s->graph->name));
    CR_TRY(cr_arena_string(&import->model->arena, proto->doc_string, &s->graph->doc));
    CR_TRY(import_inputs(import, s, proto));
    CR_TRY(import_initializers(import, s, proto));
    CR_TRY(cr_import_nodes(import, s, proto->node, proto->n_node));
    return import_outputs(import, s, proto);
}

/* How many graphs a graph stands in. */
static int depth_of(const cr_graph *graph) {
    int depth = 0;
    for (; graph->owner; graph = graph->owner->graph)
        depth++;
    return depth;
}

crease_status cr_import_subgraph(cr_import *import, cr_scope *outer, cr_graph *graph,
                                 CreaseOnnx__GraphProto *proto) {
    cr_scope s;
    if (depth_of(graph) > MAX_DEPTH)
        return cr_fail(CREASE_ERROR_MODEL, "graph '%s': graphs are nested more than %d deep",
                       proto->name ? proto->name : "", MAX_DEPTH);
    size_t names = proto->n_input + proto->n_initializer + proto->n_sparse_initializer + proto->n_output +
                   cr_import_count_names(proto->node, proto->n_node);
    CR_TRY(cr_scope_open(&s, outer, outer ? outer->call : NULL, graph, names));
    crease_status status = import_body(import, &s, proto);
    cr_scope_close(&s);
    return status;
}

crease_status cr_import_graph(cr_import *import, CreaseOnnx__GraphProto *proto) {
    if (import->n_functions)
        CR_TRY(cr_import_reserve_names(import->model, proto));
    return cr_import_subgraph(import, NULL, import->model->graph, proto);
}
