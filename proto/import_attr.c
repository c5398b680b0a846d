#include "proto/import.h"

#include <string.h>

static crease_status fail_attr(const cr_node *node, const char *name) {
    return cr_fail(CREASE_ERROR_MODEL, "node '%s' (%s): attribute '%s' has no value of a known type",
                   node->name, node->op_type, name);
}

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
        CR_TRY(cr_model_own(import->model, attr->tensors[i].buffer));
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

static crease_status import_graphs(cr_import *import, cr_scope *scope, cr_node *node,
                                   CreaseOnnx__GraphProto **from, size_t n, cr_attr *attr) {
    CR_TRY(CR_ARENA_NEW(&import->model->arena, &attr->graphs, n));
    for (size_t i = 0; i < n; i++) {
        CR_TRY(cr_graph_create(import->model, node, &attr->graphs[i]));
        CR_TRY(cr_import_subgraph(import, scope, attr->graphs[i], from[i]));
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

static CreaseOnnx__AttributeProto *find_attr(CreaseOnnx__AttributeProto **attrs, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (attrs[i]->name && strcmp(attrs[i]->name, name) == 0)
            return attrs[i];
    return NULL;
}

/* The attribute that a function body means by ref_attr_name: what the calling node gives, or the function's
 * default; NULL when neither has it. What a caller gives may refer to its own caller. *scope becomes the
 * place where names in it are looked up. */
static crease_status follow(const cr_node *node, CreaseOnnx__AttributeProto **p, cr_scope **scope) {
    while (*p && (*p)->ref_attr_name && (*p)->ref_attr_name[0]) {
        const cr_call *call = (*scope)->call;
        if (!call)
            return cr_fail(CREASE_ERROR_MODEL,
                           "node '%s' (%s): an attribute refers to '%s', which only a function may do",
                           node->name, node->op_type, (*p)->ref_attr_name);
        CreaseOnnx__AttributeProto *given =
            find_attr(call->node->attribute, call->node->n_attribute, (*p)->ref_attr_name);
        *p = given ? given
                   : find_attr(call->function->attribute_proto, call->function->n_attribute_proto,
                               (*p)->ref_attr_name);
        *scope = call->site;
    }
    return CREASE_OK;
}

crease_status cr_import_attr(cr_import *import, cr_scope *scope, cr_node *node,
                             CreaseOnnx__AttributeProto *p) {
    const char *name = p->name ? p->name : "";
    CR_TRY(follow(node, &p, &scope));
    if (!p)
        return CREASE_OK;
    cr_attr attr = {.name = name, .type = type_of(p), .n = 1};
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
        status = import_graphs(import, scope, node, &p->g, 1, &attr);
        break;
    case CR_ATTR_GRAPHS:
        status = import_graphs(import, scope, node, p->graphs, p->n_graphs, &attr);
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
