#ifndef CREASE_PROTO_IMPORT_H
#define CREASE_PROTO_IMPORT_H

#include "runtime/graph/edit.h"

#include "onnx.pb-c.h"

/* What the importing files share. */
typedef struct cr_import {
    cr_model *model;
    const char *folder; /* of the model file, for external data; NULL: loaded from memory */
    bool assume_const;
} cr_import;

/* A TensorProto as a tensor with one reference for the caller. raw_data is taken out of `proto`, not copied.
 */
crease_status cr_import_tensor(cr_import *import, CreaseOnnx__TensorProto *proto,
                               cr_tensor *tensor) CREASE_MUST_TEST;

/* Contents of external data: `bytes` bytes. Stays inside import->folder. */
crease_status cr_import_external(cr_import *import, const CreaseOnnx__TensorProto *proto, size_t bytes,
                                 cr_buffer **buffer) CREASE_MUST_TEST;

/* A sparse tensor made dense. */
crease_status cr_import_sparse(cr_import *import, CreaseOnnx__SparseTensorProto *proto,
                               cr_tensor *tensor) CREASE_MUST_TEST;

/* The main graph into import->model->graph. */
crease_status cr_import_graph(cr_import *import, CreaseOnnx__GraphProto *proto) CREASE_MUST_TEST;

/* protobuf-c's memory from a heap. */
ProtobufCAllocator cr_proto_allocator(cr_heap *heap);

#endif
