#define _GNU_SOURCE
#include "proto/import.h"
#include "proto/proto.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The graph as protobuf structures in an arena, then packed in one go. Tensor bytes are referred to, not
 * copied. */
typedef struct saver {
    cr_arena arena;
    const cr_model *model;
} saver;

/* What Protocol Buffers can hold. */
static const size_t MOST_BYTES = INT32_MAX;

/* protobuf-c wants pointers to non-const. */
static char *text(const char *s) {
    return (char *)(uintptr_t)s;
}

#define NEW(s, pointer, init)                                                                                \
    do {                                                                                                     \
        CR_TRY(CR_ARENA_NEW(&(s)->arena, (pointer), 1));                                                     \
        init(*(pointer));                                                                                    \
    } while (0)

static crease_status save_tensor(saver *s, const char *name, const cr_tensor *from,
                                 CreaseOnnx__TensorProto **to) {
    NEW(s, to, crease_onnx__tensor_proto__init);
    CreaseOnnx__TensorProto *p = *to;
    size_t bytes, n = (size_t)cr_shape_n(&from->shape);
    p->n_dims = (size_t)from->shape.rank;
    CR_TRY(CR_ARENA_NEW(&s->arena, &p->dims, p->n_dims));
    if (p->n_dims)
        memcpy(p->dims, from->shape.dims, p->n_dims * sizeof *p->dims);
    p->has_data_type = 1;
    p->data_type = (int)from->dtype;
    p->name = name ? text(name) : NULL;
    if (from->dtype == CREASE_STRING) {
        p->n_string_data = n;
        CR_TRY(CR_ARENA_NEW(&s->arena, &p->string_data, n));
        for (size_t i = 0; i < n; i++)
            p->string_data[i] =
                (ProtobufCBinaryData){((const cr_string *)from->data)[i].bytes,
                                      (uint8_t *)text(((const cr_string *)from->data)[i].data)};
        return CREASE_OK;
    }
    if (!cr_tensor_bytes(from->dtype, 0, &from->shape, &bytes))
        return cr_fail(CREASE_ERROR_MODEL, "tensor '%s' cannot be saved", name ? name : "");
    p->has_raw_data = 1;
    p->raw_data = (ProtobufCBinaryData){bytes, from->data};
    return CREASE_OK;
}

/* protobuf-c's memory from the arena, which gives everything back at once. */
static void *from_arena(void *arena, size_t bytes) {
    void *block;
    return cr_arena_alloc(arena, bytes, &block) == CREASE_OK ? block : NULL;
}

static void to_arena(void *arena, void *block) {
    (void)arena;
    (void)block;
}

/* As the file stated it. */
static crease_status save_statement(saver *s, const cr_value *v, CreaseOnnx__ValueInfoProto **to) {
    ProtobufCAllocator allocator = {from_arena, to_arena, &s->arena};
    *to = crease_onnx__value_info_proto__unpack(&allocator, v->stated_bytes, v->stated);
    if (!*to)
        return cr_fail(CREASE_ERROR_MEMORY, "out of memory");
    (*to)->name = text(v->name);
    return CREASE_OK;
}

static crease_status save_type(saver *s, const cr_value *v, CreaseOnnx__ValueInfoProto **to) {
    if (v->stated)
        return save_statement(s, v, to);
    NEW(s, to, crease_onnx__value_info_proto__init);
    (*to)->name = text(v->name);
    if (v->raw_type) {
        ProtobufCAllocator allocator = {from_arena, to_arena, &s->arena};
        (*to)->type = crease_onnx__type_proto__unpack(&allocator, v->raw_type_bytes, v->raw_type);
        return (*to)->type ? CREASE_OK : cr_fail(CREASE_ERROR_MEMORY, "out of memory");
    }
    if (!v->dtype)
        return CREASE_OK;
    CreaseOnnx__TypeProto *type;
    CreaseOnnx__TypeProto__Tensor *tensor;
    NEW(s, &type, crease_onnx__type_proto__init);
    NEW(s, &tensor, crease_onnx__type_proto__tensor__init);
    (*to)->type = type;
    type->tensor_type = tensor;
    tensor->has_elem_type = 1;
    tensor->elem_type = (int)v->dtype;
    if (v->shape.rank < 0)
        return CREASE_OK;
    NEW(s, &tensor->shape, crease_onnx__tensor_shape_proto__init);
    tensor->shape->n_dim = (size_t)v->shape.rank;
    CR_TRY(CR_ARENA_NEW(&s->arena, &tensor->shape->dim, tensor->shape->n_dim));
    for (int i = 0; i < v->shape.rank; i++) {
        CreaseOnnx__TensorShapeProto__Dimension *dim;
        NEW(s, &dim, crease_onnx__tensor_shape_proto__dimension__init);
        tensor->shape->dim[i] = dim;
        int64_t d = v->shape.dims[i];
        dim->has_dim_value = d >= 0;
        dim->dim_value = d >= 0 ? d : 0;
        if (d <= CR_DIM_FIRST_SYMBOL)
            dim->dim_param = text(s->model->symbols[CR_DIM_FIRST_SYMBOL - d]);
    }
    return CREASE_OK;
}

/* ---- nodes ---- */

static crease_status save_graph(saver *s, const cr_graph *graph, CreaseOnnx__GraphProto **to);

static crease_status save_strings(saver *s, const cr_string *from, size_t n, ProtobufCBinaryData **to) {
    CR_TRY(CR_ARENA_NEW(&s->arena, to, n));
    for (size_t i = 0; i < n; i++)
        (*to)[i] = (ProtobufCBinaryData){from[i].bytes, (uint8_t *)text(from[i].data)};
    return CREASE_OK;
}

static crease_status save_attr(saver *s, const cr_attr *a, CreaseOnnx__AttributeProto **to) {
    NEW(s, to, crease_onnx__attribute_proto__init);
    CreaseOnnx__AttributeProto *p = *to;
    size_t n = (size_t)a->n;
    p->name = text(a->name);
    p->has_type = 1;
    p->type = (int)a->type;
    switch (a->type) {
    case CR_ATTR_INT:
        p->has_i = 1;
        p->i = a->ints[0];
        break;
    case CR_ATTR_FLOAT:
        p->has_f = 1;
        p->f = a->floats[0];
        break;
    case CR_ATTR_STRING:
        p->has_s = 1;
        p->s = (ProtobufCBinaryData){a->strings[0].bytes, (uint8_t *)text(a->strings[0].data)};
        break;
    case CR_ATTR_TYPE_PROTO:
        p->has_tp = 1;
        p->tp = (ProtobufCBinaryData){a->strings[0].bytes, (uint8_t *)text(a->strings[0].data)};
        break;
    case CR_ATTR_INTS:
        p->n_ints = n;
        p->ints = (int64_t *)(uintptr_t)a->ints;
        break;
    case CR_ATTR_FLOATS:
        p->n_floats = n;
        p->floats = (float *)(uintptr_t)a->floats;
        break;
    case CR_ATTR_STRINGS:
        p->n_strings = n;
        return save_strings(s, a->strings, n, &p->strings);
    case CR_ATTR_TENSOR:
        return save_tensor(s, NULL, &a->tensors[0], &p->t);
    case CR_ATTR_TENSORS:
        p->n_tensors = n;
        CR_TRY(CR_ARENA_NEW(&s->arena, &p->tensors, n));
        for (size_t i = 0; i < n; i++)
            CR_TRY(save_tensor(s, NULL, &a->tensors[i], &p->tensors[i]));
        break;
    case CR_ATTR_GRAPH:
        return save_graph(s, a->graphs[0], &p->g);
    case CR_ATTR_GRAPHS:
        p->n_graphs = n;
        CR_TRY(CR_ARENA_NEW(&s->arena, &p->graphs, n));
        for (size_t i = 0; i < n; i++)
            CR_TRY(save_graph(s, a->graphs[i], &p->graphs[i]));
        break;
    default:
        return cr_fail(CREASE_ERROR_MODEL, "attribute '%s' cannot be saved", a->name);
    }
    return CREASE_OK;
}

static crease_status save_names(saver *s, cr_value *const *values, int n, char ***names, size_t *n_names) {
    CR_TRY(CR_ARENA_NEW(&s->arena, names, (size_t)n));
    for (int i = 0; i < n; i++)
        (*names)[i] = values[i] ? text(values[i]->name) : text("");
    *n_names = (size_t)n;
    return CREASE_OK;
}

static crease_status save_node(saver *s, const cr_node *node, CreaseOnnx__NodeProto **to) {
    NEW(s, to, crease_onnx__node_proto__init);
    CreaseOnnx__NodeProto *p = *to;
    CR_TRY(save_names(s, node->inputs, node->n_inputs, &p->input, &p->n_input));
    CR_TRY(save_names(s, node->outputs, node->n_outputs, &p->output, &p->n_output));
    p->name = node->name[0] ? text(node->name) : NULL;
    p->op_type = text(node->op_type);
    p->domain = node->domain[0] ? text(node->domain) : NULL;
    p->doc_string = node->doc[0] ? text(node->doc) : NULL;
    p->n_attribute = (size_t)node->n_attrs;
    CR_TRY(CR_ARENA_NEW(&s->arena, &p->attribute, p->n_attribute));
    for (int i = 0; i < node->n_attrs; i++)
        CR_TRY(save_attr(s, &node->attrs[i], &p->attribute[i]));
    return CREASE_OK;
}

/* ---- graphs ---- */

static bool is_saved_initializer(const cr_graph *graph, const cr_value *v) {
    return v->graph == graph && (v->constant || v->initial) && (v->n_uses || v->n_outputs || v->initial);
}

static crease_status save_initializers(saver *s, const cr_graph *graph, CreaseOnnx__GraphProto *p) {
    size_t n = 0;
    for (int i = 0; i < s->model->n_values; i++)
        n += is_saved_initializer(graph, s->model->values[i]);
    CR_TRY(CR_ARENA_NEW(&s->arena, &p->initializer, n));
    for (int i = 0; i < s->model->n_values; i++) {
        const cr_value *v = s->model->values[i];
        if (is_saved_initializer(graph, v))
            CR_TRY(save_tensor(s, v->name, v->constant ? v->constant : v->initial,
                               &p->initializer[p->n_initializer++]));
    }
    return CREASE_OK;
}

/* Before IR version 4 every initializer is listed among the inputs as well. */
static crease_status save_inputs(saver *s, const cr_graph *graph, CreaseOnnx__GraphProto *p) {
    bool twins = s->model->ir_version < 4;
    CR_TRY(CR_ARENA_NEW(&s->arena, &p->input, (size_t)graph->n_inputs + (twins ? p->n_initializer : 0)));
    for (int i = 0; i < graph->n_inputs; i++)
        CR_TRY(save_type(s, graph->inputs[i], &p->input[p->n_input++]));
    for (int i = 0; twins && i < s->model->n_values; i++) {
        const cr_value *v = s->model->values[i];
        if (is_saved_initializer(graph, v) && !v->is_input)
            CR_TRY(save_type(s, v, &p->input[p->n_input++]));
    }
    return CREASE_OK;
}

/* In the order of the nodes, which is the same when the file is read and written again. */
static crease_status save_value_infos(saver *s, const cr_graph *graph, CreaseOnnx__GraphProto *p) {
    size_t n = 0;
    CR_FOR_NODES(node, graph)
    n += (size_t)node->n_outputs;
    CR_TRY(CR_ARENA_NEW(&s->arena, &p->value_info, n));
    CR_FOR_NODES(node, graph)
    for (int i = 0; i < node->n_outputs; i++) {
        const cr_value *v = node->outputs[i];
        if (v && v->declared && !v->n_outputs)
            CR_TRY(save_type(s, v, &p->value_info[p->n_value_info++]));
    }
    return CREASE_OK;
}

static crease_status save_graph(saver *s, const cr_graph *graph, CreaseOnnx__GraphProto **to) {
    NEW(s, to, crease_onnx__graph_proto__init);
    CreaseOnnx__GraphProto *p = *to;
    p->name = text(graph->name[0] ? graph->name : "graph");
    p->doc_string = graph->doc[0] ? text(graph->doc) : NULL;
    CR_TRY(CR_ARENA_NEW(&s->arena, &p->node, (size_t)graph->n_nodes));
    CR_FOR_NODES(node, graph)
    CR_TRY(save_node(s, node, &p->node[p->n_node++]));
    CR_TRY(save_initializers(s, graph, p));
    CR_TRY(save_inputs(s, graph, p));
    CR_TRY(CR_ARENA_NEW(&s->arena, &p->output, (size_t)graph->n_outputs));
    for (int i = 0; i < graph->n_outputs; i++)
        CR_TRY(save_type(s, graph->outputs[i], &p->output[p->n_output++]));
    return save_value_infos(s, graph, p);
}

static crease_status save_model(saver *s, CreaseOnnx__ModelProto *p) {
    const cr_model *m = s->model;
    p->has_ir_version = p->has_model_version = 1;
    p->ir_version = m->ir_version;
    p->model_version = m->model_version;
    p->producer_name = text(m->producer_name);
    p->producer_version = text(m->producer_version);
    p->domain = m->domain[0] ? text(m->domain) : NULL;
    p->doc_string = m->doc[0] ? text(m->doc) : NULL;
    CR_TRY(CR_ARENA_NEW(&s->arena, &p->opset_import, (size_t)m->n_opsets));
    for (int i = 0; i < m->n_opsets; i++) {
        NEW(s, &p->opset_import[i], crease_onnx__operator_set_id_proto__init);
        p->opset_import[i]->domain = text(m->opsets[i].domain);
        p->opset_import[i]->has_version = 1;
        p->opset_import[i]->version = m->opsets[i].version;
        p->n_opset_import++;
    }
    CR_TRY(CR_ARENA_NEW(&s->arena, &p->metadata_props, (size_t)m->n_properties));
    for (int i = 0; i < m->n_properties; i++) {
        NEW(s, &p->metadata_props[i], crease_onnx__string_string_entry_proto__init);
        p->metadata_props[i]->key = text(m->properties[i].key);
        p->metadata_props[i]->value = text(m->properties[i].value);
        p->n_metadata_props++;
    }
    return save_graph(s, m->graph, &p->graph);
}

crease_status cr_proto_save(const cr_model *model, cr_heap *heap, void **data, size_t *bytes) {
    saver s = {.model = model};
    CreaseOnnx__ModelProto proto;
    *data = NULL;
    cr_arena_init(&s.arena, heap);
    crease_onnx__model_proto__init(&proto);
    crease_status status = save_model(&s, &proto);
    if (status == CREASE_OK) {
        *bytes = crease_onnx__model_proto__get_packed_size(&proto);
        status = *bytes > MOST_BYTES
                     ? cr_fail(CREASE_ERROR_MODEL, "the model has %zu bytes, an ONNX file at most %zu",
                               *bytes, MOST_BYTES)
                     : cr_alloc(heap, *bytes, data);
    }
    if (status == CREASE_OK)
        crease_onnx__model_proto__pack(&proto, *data);
    cr_arena_clear(&s.arena);
    return status;
}

/* ---- files ---- */

static crease_status write_whole(const char *path, const char *temporary, int file, const char *data,
                                 size_t bytes) {
    bool good = true;
    for (size_t at = 0; good && at < bytes;) {
        ssize_t n = write(file, data + at, bytes - at);
        good = n > 0;
        at += good ? (size_t)n : 0;
    }
    good = good && fsync(file) == 0;
    good = close(file) == 0 && good;
    if (good && rename(temporary, path) == 0)
        return CREASE_OK;
    int reason = errno;
    unlink(temporary);
    return cr_fail(CREASE_ERROR_FILE, "%s: cannot be written: %s", path, strerror(reason));
}

crease_status cr_proto_save_file(const cr_model *model, const char *path) {
    void *data;
    size_t bytes;
    const char *temporary;
    cr_arena names;
    CR_TRY(cr_proto_save(model, model->heap, &data, &bytes));
    cr_arena_init(&names, model->heap);
    crease_status status =
        strlen(path) > 900 ? cr_fail(CREASE_ERROR_FILE, "%.100s...: the path is too long", path) : CREASE_OK;
    int file = -1;
    for (int i = 0; status == CREASE_OK && file < 0 && i < 100; i++) { /* one may be left from a crash */
        status = cr_arena_format(&names, &temporary, "%s.%ld-%d.tmp", path, (long)getpid(), i);
        if (status == CREASE_OK)
            file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file < 0 && errno != EEXIST)
            break;
    }
    if (status == CREASE_OK)
        status = file < 0 ? cr_fail(CREASE_ERROR_FILE, "%s: %s", path, strerror(errno))
                          : write_whole(path, temporary, file, data, bytes);
    cr_arena_clear(&names);
    cr_free(model->heap, data);
    return status;
}
