#ifndef CREASE_PROTO_IMPORT_H
#define CREASE_PROTO_IMPORT_H

#include "proto/scope.h"

/* The file that is imported, or its copy in memory. */
typedef struct cr_source {
    const void *data;
    size_t bytes;
    bool is_mapping;
} cr_source;

/* A range of them. Pages of a mapping are let go once they are copied, so that file and copy do not fill
 * memory together. */
void cr_source_copy(const cr_source *from, size_t at, size_t bytes, void *to);

/* What the importing files share. */
typedef struct cr_import {
    cr_model *model;
    cr_source source;   /* has the raw_data that proto/wire.h leaves out */
    const char *folder; /* of the model file, for external data; NULL: loaded from memory */
    bool assume_const;
    CreaseOnnx__FunctionProto **functions; /* sorted */
    size_t n_functions;
    size_t n_inlined, n_unnamed; /* nodes that calls expanded to; calls without a name */
} cr_import;

/* A TensorProto as a tensor with one reference for the caller; the bytes are copied. */
crease_status cr_import_tensor(cr_import *import, const CreaseOnnx__TensorProto *proto,
                               cr_tensor *tensor) CREASE_MUST_TEST;

/* Contents of external data: `bytes` bytes, mapped or, when they are few or not aligned, read. Stays inside
 * import->folder. */
crease_status cr_import_external(cr_import *import, const CreaseOnnx__TensorProto *proto, size_t bytes,
                                 cr_buffer **buffer) CREASE_MUST_TEST;

/* A sparse tensor made dense. */
crease_status cr_import_sparse(cr_import *import, CreaseOnnx__SparseTensorProto *proto,
                               cr_tensor *tensor) CREASE_MUST_TEST;

/* ---- graphs, import_graph.c ---- */

/* The main graph into import->model->graph. */
crease_status cr_import_graph(cr_import *import, CreaseOnnx__GraphProto *proto) CREASE_MUST_TEST;
/* The graph of an attribute; names that it does not define are looked up in outer. */
crease_status cr_import_subgraph(cr_import *import, cr_scope *outer, cr_graph *graph,
                                 CreaseOnnx__GraphProto *proto) CREASE_MUST_TEST;
/* Nodes to the end of scope->graph, in any order. */
crease_status cr_import_nodes(cr_import *import, cr_scope *scope, CreaseOnnx__NodeProto **nodes,
                              size_t n) CREASE_MUST_TEST;
/* At least as many names as these nodes use and define. */
size_t cr_import_count_names(CreaseOnnx__NodeProto *const *nodes, size_t n);
/* The value that a node input means; name "": NULL. */
crease_status cr_import_use(cr_scope *scope, const char *name, cr_value **value) CREASE_MUST_TEST;

/* ---- attributes, import_attr.c ---- */

crease_status cr_import_attr(cr_import *import, cr_scope *scope, cr_node *node,
                             CreaseOnnx__AttributeProto *proto) CREASE_MUST_TEST;

/* ---- functions, functions.c ---- */

/* Take note of the model's functions; the list is sorted in place. */
crease_status cr_import_functions(cr_import *import, CreaseOnnx__FunctionProto **functions,
                                  size_t n) CREASE_MUST_TEST;
/* The function that a node calls, or NULL. */
const CreaseOnnx__FunctionProto *cr_import_function(const cr_import *import,
                                                    const CreaseOnnx__NodeProto *node);
/* The body of function in place of the node. A function that calls itself is a MODEL failure. */
crease_status cr_import_call(cr_import *import, cr_scope *site, const CreaseOnnx__NodeProto *node,
                             const CreaseOnnx__FunctionProto *function) CREASE_MUST_TEST;
/* Keep the names that a graph and its subgraphs define from being given to other values. */
crease_status cr_import_reserve_names(cr_model *model, const CreaseOnnx__GraphProto *graph) CREASE_MUST_TEST;

/* Hostile bytes as a message, to be freed with cr_proto_allocator(heap). `who` names them in failures. */
crease_status cr_proto_parse(const void *data, size_t bytes, const char *who, cr_heap *heap,
                             CreaseOnnx__ModelProto **proto) CREASE_MUST_TEST;

/* protobuf-c's memory from a heap. */
ProtobufCAllocator cr_proto_allocator(cr_heap *heap);

#endif
